//! What a launch must move and compute, and what that is computed from.

use super::{Kernel, Program};

/// What a launch must move and compute at the least.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Bytes read and written.
    pub bytes: f64,
    /// Floating-point operations.
    pub flops: f64,
}

/// What a cost, and the number of iterations, is computed from.
#[derive(Debug)]
pub struct CostArgs<'a> {
    pub(crate) kernel: &'static Kernel,
    pub(crate) program: &'a Program,
    /// The variant, by its place in the kernel's list.
    pub variant: usize,
    /// The parameter struct.
    pub params: &'a [u8],
    /// The workgroups along x, y and z.
    pub groups: [u32; 3],
    /// The words of each binding, in the order of the shader; none before the launch has its tensors.
    pub words: &'a [u64],
    /// The constants of the launch.
    pub constants: &'a [(&'static str, f64)],
}

impl CostArgs<'_> {
    /// The parameter struct.
    pub fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.params[..size_of::<P>()])
    }

    /// The value of an `override`: the launch's, else that in the shader. 0 for one that the shader
    /// does not have.
    pub fn constant(&self, name: &str) -> u64 {
        self.program.reflection.constant(name, self.constants).unwrap_or(0.0) as u64
    }

    /// Whether the launch is compiled under this condition.
    pub fn when(&self, condition: &str) -> bool {
        self.kernel.variants[self.variant].conditions.contains(&condition)
    }

    /// The words of the tensor bound as `name`; 0 if it is not bound.
    pub fn words_of(&self, name: &str) -> u64 {
        let at = self.program.reflection.bindings.iter().position(|b| b.name == name);
        at.and_then(|at| self.words.get(at)).copied().unwrap_or(0)
    }

    /// The bytes of all bindings together: each moved once.
    pub fn all_bytes(&self) -> f64 {
        self.words.iter().sum::<u64>() as f64 * 4.0
    }

    /// The cost of one operation an element of the binding `output`, everything moved once.
    pub(crate) fn one_operation_each(&self, output: &str) -> Cost {
        Cost { bytes: self.all_bytes(), flops: self.words_of(output) as f64 }
    }
}
