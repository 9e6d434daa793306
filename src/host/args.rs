//! What CPU code is called with.

use super::Real;
use crate::gpu::Reflection;

/// One binding of a launch, as CPU code sees it.
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
    /// A binding that the launch says it does not use.
    Unused,
}

/// What a kernel's CPU code is called with: parameters, constants, conditions, grid and bindings of a
/// launch.
///
/// Bindings and constants have the names of the shader. A writable binding is taken once
/// ([`reals_mut`](Self::reals_mut), [`words_mut`](Self::words_mut)); a read-only one may be looked
/// at any number of times. One that the launch does not use is empty. Asking for a binding of another
/// name or kind is a bug in the code and panics, as an index out of range would; the table's tests call
/// every kernel.
pub struct HostArgs<'a, R> {
    pub(crate) kernel: &'static str,
    pub(crate) reflection: &'a Reflection,
    pub(crate) conditions: &'static [&'static str],
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

    /// The value of an `override`: the launch's, else the shader's.
    pub fn constant(&self, name: &str) -> u32 {
        self.value(name) as u32
    }

    /// Likewise for a float constant.
    pub fn constant_real(&self, name: &str) -> R {
        R::lit(self.value(name))
    }

    /// Likewise for a boolean one.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name) != 0.0
    }

    fn value(&self, name: &str) -> f64 {
        let found = self.reflection.constant(name, self.constants);
        found.unwrap_or_else(|| panic!("{}: the shader has no constant {name}", self.kernel))
    }

    /// Whether the launch is compiled under this condition.
    pub fn when(&self, condition: &str) -> bool {
        self.conditions.contains(&condition)
    }

    /// The workgroups of the launch.
    pub fn groups(&self) -> [u32; 3] {
        self.groups
    }

    /// Whether the launch uses this binding.
    pub fn uses(&self, binding: &str) -> bool {
        !matches!(&self.slots[self.number(binding)], Slot::Unused)
    }

    /// Read-only reals.
    pub fn reals(&self, binding: &str) -> &'a [R] {
        match &self.slots[self.number(binding)] {
            Slot::Reals(s) => s,
            Slot::Unused => &[],
            _ => self.wrong(binding, "read-only reals"),
        }
    }

    /// Read-only words: `u32` elements, packed bits or pairs of f16.
    pub fn words(&self, binding: &str) -> &'a [u32] {
        match &self.slots[self.number(binding)] {
            Slot::Words(s) => s,
            Slot::Unused => &[],
            _ => self.wrong(binding, "read-only words"),
        }
    }

    /// Takes writable reals.
    pub fn reals_mut(&mut self, binding: &str) -> &'a mut [R] {
        let at = self.number(binding);
        match std::mem::replace(&mut self.slots[at], Slot::Taken) {
            Slot::RealsMut(s) => s,
            Slot::Unused => &mut [],
            _ => self.wrong(binding, "writable reals"),
        }
    }

    /// Takes writable words.
    pub fn words_mut(&mut self, binding: &str) -> &'a mut [u32] {
        let at = self.number(binding);
        match std::mem::replace(&mut self.slots[at], Slot::Taken) {
            Slot::WordsMut(s) => s,
            Slot::Unused => &mut [],
            _ => self.wrong(binding, "writable words"),
        }
    }

    /// Whether a binding holds reals (and not words): for kernels whose storage type varies.
    pub fn is_real(&self, binding: &str) -> bool {
        matches!(&self.slots[self.number(binding)], Slot::Reals(_) | Slot::RealsMut(_))
    }

    fn number(&self, binding: &str) -> usize {
        let found = self.reflection.bindings.iter().position(|b| b.name == binding);
        found.unwrap_or_else(|| panic!("{}: the shader has no binding `{binding}`", self.kernel))
    }

    fn wrong(&self, binding: &str, wanted: &str) -> ! {
        panic!("{}: `{binding}` does not hold {wanted} (any more)", self.kernel)
    }
}
