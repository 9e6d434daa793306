//! A launch: a kernel with all that one run of it needs. Plain data; nothing runs when it is made.

use super::{Memory, Storage, Stream};
use crate::error::{Error, Result};
use crate::gpu::{Access, Capabilities, MAX_BINDINGS, MAX_CONSTANTS, PipelineKey, SLOT};
use crate::kernel::{CostArgs, Kernel, Program};
use std::sync::Arc;

/// The most parameter bytes of a launch: a slot of the uniform arena.
const MAX_PARAMS: usize = SLOT as usize;

/// What a launch can be bound to: a [`Tensor`](crate::Tensor).
pub trait Bind {
    /// Its memory.
    #[doc(hidden)]
    fn bound(&self) -> Bound;
}

/// A binding of a launch.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(crate) memory: Memory,
    pub(crate) real: bool,
    /// Its words are pairs of f16.
    pub(crate) halves: bool,
    pub(crate) words: usize,
    /// The bytes of its memory, at least those of the words.
    pub(crate) bytes: u64,
    /// The tensor's handle on its memory; given up in a recorded step, whose memory its capture
    /// owns.
    pub(crate) storage: Option<Arc<Storage>>,
}

impl Bound {
    pub(crate) fn new(storage: &Arc<Storage>, words: usize) -> Self {
        Self {
            memory: storage.memory.clone(),
            real: storage.real,
            halves: false,
            words,
            bytes: storage.bytes(),
            storage: Some(storage.clone()),
        }
    }
}

/// A kernel with variant, constants, parameters, tensors and grid. Made by
/// [`Device::launch`](crate::Device::launch).
#[derive(Debug, Clone)]
#[must_use = "a launch runs only when it is recorded"]
pub struct Launch {
    pub(crate) kernel: &'static Kernel,
    pub(crate) variant: usize,
    stream: Arc<Stream>,
    constants: [(&'static str, f64); MAX_CONSTANTS],
    constants_len: usize,
    params: [u8; MAX_PARAMS],
    pub(crate) bindings: Vec<Bound>,
    pub(crate) groups: [u32; 3],
    /// The binding in which the kernel notes an index out of range.
    pub(crate) note: Option<usize>,
    /// The first mistake made while building; reported when the launch is recorded.
    fault: Option<Error>,
}

impl Launch {
    /// A launch of `kernel` on `stream`, in the best variant that its device can run.
    pub(crate) fn new(kernel: &'static Kernel, stream: &Arc<Stream>) -> Self {
        Self {
            kernel,
            variant: kernel.best_variant(stream.capabilities()),
            stream: stream.clone(),
            constants: [("", 0.0); MAX_CONSTANTS],
            constants_len: 0,
            params: [0; MAX_PARAMS],
            bindings: Vec::with_capacity(MAX_BINDINGS),
            groups: [1; 3],
            note: None,
            fault: None,
        }
    }

    /// Chooses a variant by its place in the kernel's list.
    pub fn variant(mut self, variant: usize) -> Self {
        self.variant = variant;
        self
    }

    /// Sets an `override` of the shader.
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        if self.constants_len == MAX_CONSTANTS {
            self.fault("constants of a launch", MAX_CONSTANTS as u64 + 1, MAX_CONSTANTS as u64);
        } else {
            self.constants[self.constants_len] = (name, value.into());
            self.constants_len += 1;
        }
        self
    }

    /// Sets the parameter struct.
    pub fn params<P: bytemuck::NoUninit>(mut self, params: &P) -> Self {
        let bytes = bytemuck::bytes_of(params);
        if bytes.len() == self.kernel.params && bytes.len() <= MAX_PARAMS {
            self.params[..bytes.len()].copy_from_slice(bytes);
        } else {
            self.fault("bytes of parameters", bytes.len() as u64, self.kernel.params as u64);
        }
        self
    }

    /// Binds the next tensor, in the order of the shader's bindings.
    pub fn bind(mut self, tensor: &impl Bind) -> Self {
        self.bindings.push(tensor.bound());
        self
    }

    /// Binds the next tensor as that in which the kernel notes an index out of range.
    pub(crate) fn bind_note(mut self, note: &super::Note) -> Self {
        self.note = Some(self.bindings.len());
        self.bind(note)
    }

    /// Sets the workgroups along x, y and z.
    pub fn groups(mut self, groups: [u32; 3]) -> Self {
        self.groups = groups;
        self
    }

    /// Sets enough workgroups of `size` invocations for `items` items, folded over x and y where one
    /// axis does not hold them (`shared/index.wgsl` restores the index).
    pub fn items(mut self, items: usize, size: u32) -> Self {
        let needed = (items as u64).div_ceil(u64::from(size.max(1))).max(1);
        match fold(needed).filter(|_| size > 0) {
            Some([x, y]) => self.groups = [x, y, 1],
            None => self.fault("workgroups of a launch", needed, MAX_GROUPS * MAX_GROUPS),
        }
        self
    }

    /// Sets the workgroup of a kernel whose invocations share one sum: of one invocation on a software
    /// adapter, which pays for every barrier, as long as its loops allow that; else of 256.
    pub(crate) fn sharing(self) -> Self {
        let software = self.stream.capabilities().software;
        let alone = self.clone().constant("WG", 1u32);
        if software && alone.ends() { alone } else { self.constant("WG", 256u32) }
    }

    /// Records the launch.
    ///
    /// # Errors
    /// What the builder was given wrongly; a tensor of another device or of the wrong element type;
    /// a tensor bound both for reading and for writing; limits of the device; a kernel that does not
    /// compile; device loss.
    pub fn record(mut self) -> Result<()> {
        self.fault.take().map_or(Ok(()), Err)?;
        let stream = self.stream.clone();
        stream.record(self)
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.stream.capabilities()
    }

    pub(crate) fn constants(&self) -> &[(&'static str, f64)] {
        &self.constants[..self.constants_len]
    }

    pub(crate) fn param_bytes(&self) -> &[u8] {
        &self.params[..self.kernel.params]
    }

    /// The memory that it writes.
    pub(super) fn written<'a>(&'a self, program: &'a Program) -> impl Iterator<Item = &'a Memory> {
        let bindings = self.bindings.iter().zip(&program.reflection.bindings);
        bindings.filter(|(_, b)| b.access == Access::Write).map(|(bound, _)| &bound.memory)
    }

    pub(crate) fn cost(&self) -> crate::kernel::Cost {
        (self.kernel.cost)(&self.cost_args(&self.words()))
    }

    /// The words of each binding.
    fn words(&self) -> Vec<u64> {
        self.bindings.iter().map(|b| b.words as u64).collect()
    }

    fn cost_args<'a>(&'a self, words: &'a [u64]) -> CostArgs<'a> {
        let (params, constants) = (self.param_bytes(), self.constants());
        CostArgs { variant: self.variant, params, groups: self.groups, words, constants }
    }

    /// Refuses a launch whose loops its device would end too early, and one of a kernel that does not
    /// say how long they are.
    pub(crate) fn check_turns(&self, program: &Program) -> Result<()> {
        let Some(allowed) = self.stream.capabilities().max_turns else { return Ok(()) };
        let asked = match self.kernel.turns {
            Some(turns) => turns(&self.cost_args(&self.words())),
            None if program.reflection.open_loops => {
                let message = "this adapter ends long loops too early, and the kernel does not say \
                               how long its loops are (`Kernel::turns`)";
                let kernel = self.kernel.name.into();
                return Err(Error::Shader { kernel, message: message.into() });
            }
            None => 0,
        };
        if asked <= allowed {
            return Ok(());
        }
        let what = format!("{}: turns of loops on a software adapter", self.kernel.name);
        Err(Error::Limit { what, asked, allowed })
    }

    /// Whether the device runs the loops of this launch to their end, as far as its variant and its
    /// parameters tell.
    pub(crate) fn ends(&self) -> bool {
        let Some(allowed) = self.stream.capabilities().max_turns else { return true };
        self.kernel.turns.is_none_or(|turns| turns(&self.cost_args(&[])) <= allowed)
    }

    /// What the pipeline of this launch is cached under.
    pub(crate) fn key(&self) -> PipelineKey {
        let mut constants = [(0, 0); MAX_CONSTANTS];
        for (slot, (name, value)) in constants.iter_mut().zip(self.constants()) {
            *slot = (name.as_ptr() as usize, value.to_bits());
        }
        PipelineKey { kernel: self.kernel.address(), variant: self.variant as u32, constants }
    }

    fn fault(&mut self, what: &str, asked: u64, allowed: u64) {
        let what = format!("{}: {what}", self.kernel.name);
        self.fault.get_or_insert(Error::Limit { what, asked, allowed });
    }
}

/// The portable limit of workgroups along one axis.
const MAX_GROUPS: u64 = 65_535;

/// Folds `needed` workgroups into rows that one axis holds.
fn fold(needed: u64) -> Option<[u32; 2]> {
    if needed <= MAX_GROUPS {
        return Some([needed as u32, 1]);
    }
    let rows = needed.div_ceil(MAX_GROUPS);
    (rows <= MAX_GROUPS).then(|| [needed.div_ceil(rows) as u32, rows as u32])
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folding_covers_every_group() {
        for needed in [1, 65_535, 65_536, 1 << 20, 65_535 * 65_535] {
            let [x, y] = fold(needed).unwrap();
            assert!(x <= 65_535 && y <= 65_535 && u64::from(x) * u64::from(y) >= needed);
        }
        assert!(fold(65_535 * 65_535 + 65_536).is_none());
    }
}
