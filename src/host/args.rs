//! What a twin is called with.

use super::Real;

/// One binding of a launch, as the twin sees it.
pub(crate) enum Slot<'a, R> {
    /// Read-only reals.
    Reals(&'a [R]),
    /// Writable reals.
    RealsMut(&'a mut [R]),
    /// Read-only words.
    Words(&'a [u32]),
    /// Writable words.
    WordsMut(&'a mut [u32]),
    /// A writable slot that was taken.
    Taken,
}

/// The arguments of a twin: parameters, constants, grid and bindings of a launch.
///
/// Bindings are numbered as in the shader. A writable binding is taken once
/// ([`reals_mut`](Self::reals_mut), [`words_mut`](Self::words_mut)); a read-only one may be looked
/// at any number of times. Asking for a binding of another kind is a bug in the twin and panics, as
/// an index out of range would; the table's tests call every twin.
pub struct HostArgs<'a, R> {
    pub(crate) kernel: &'static str,
    pub(crate) params: &'a [u8],
    pub(crate) constants: &'a [(&'static str, f64)],
    pub(crate) groups: [u32; 3],
    pub(crate) slots: Vec<Slot<'a, R>>,
}

impl<'a, R: Real> HostArgs<'a, R> {
    /// The parameter struct.
    pub fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.params[..size_of::<P>()])
    }

    /// The value of an `override` that the launch set, or `default`, the value in the shader.
    pub fn constant(&self, name: &str, default: u32) -> u32 {
        self.find(name).map_or(default, |v| v as u32)
    }

    /// Likewise for a float constant.
    pub fn constant_real(&self, name: &str, default: f64) -> R {
        R::lit(self.find(name).unwrap_or(default))
    }

    fn find(&self, name: &str) -> Option<f64> {
        self.constants.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// The workgroups of the launch.
    pub fn groups(&self) -> [u32; 3] {
        self.groups
    }

    /// Read-only reals of binding `i`.
    pub fn reals(&self, i: usize) -> &'a [R] {
        match &self.slots[i] {
            Slot::Reals(s) => s,
            _ => self.wrong(i, "read-only reals"),
        }
    }

    /// Read-only words of binding `i`: `u32` elements, packed bits or pairs of f16.
    pub fn words(&self, i: usize) -> &'a [u32] {
        match &self.slots[i] {
            Slot::Words(s) => s,
            _ => self.wrong(i, "read-only words"),
        }
    }

    /// Takes the writable reals of binding `i`.
    pub fn reals_mut(&mut self, i: usize) -> &'a mut [R] {
        match std::mem::replace(&mut self.slots[i], Slot::Taken) {
            Slot::RealsMut(s) => s,
            _ => self.wrong(i, "writable reals"),
        }
    }

    /// Takes the writable words of binding `i`.
    pub fn words_mut(&mut self, i: usize) -> &'a mut [u32] {
        match std::mem::replace(&mut self.slots[i], Slot::Taken) {
            Slot::WordsMut(s) => s,
            _ => self.wrong(i, "writable words"),
        }
    }

    /// Whether binding `i` holds reals (and not words): for kernels whose storage type varies.
    pub fn is_real(&self, i: usize) -> bool {
        matches!(&self.slots[i], Slot::Reals(_) | Slot::RealsMut(_))
    }

    fn wrong(&self, i: usize, wanted: &str) -> ! {
        panic!("twin of {}: binding {i} does not hold {wanted} (any more)", self.kernel)
    }
}
