//! The step of a parameter along a direction, as kernels end with it that make the direction: the Rust
//! side of `shared/step.wgsl`.

use crate::Tensor;
use crate::host::{Real, limited};

/// The constraints that `mode` may name.
pub(crate) const BOX: u32 = 16;
pub(crate) const COMPAND: u32 = 32;

/// `UpdateConstants` of `shared/step.wgsl`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UpdateConstants {
    pub(crate) mode: u32,
    pub(crate) decay: f32,
    pub(crate) scale: f32,
    pub(crate) gain: f32,
    pub(crate) low: f32,
    pub(crate) high: f32,
}

/// A parameter that a kernel moves along what it computes, instead of writing that to memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FusedUpdate<'a> {
    pub(crate) parameter: &'a Tensor,
    pub(crate) constants: UpdateConstants,
    /// What changes from step to step (`shared/numbers.wgsl`), and where the parameter's begin.
    pub(crate) numbers: &'a Tensor,
    pub(crate) place: u32,
    /// The third says whether this step is skipped.
    pub(crate) clip: &'a Tensor,
}

impl UpdateConstants {
    /// On the CPU: what a parameter loses to decay, and what it takes of the direction, with the numbers
    /// that change from step to step.
    pub(crate) fn rates<R: Real>(&self, numbers: &[R]) -> [R; 2] {
        let real = |value: f32| R::lit(value.into());
        let eta = numbers[0] * real(self.scale);
        [eta * real(self.decay), eta * real(self.gain) * numbers[3]]
    }

    /// On the CPU: what is left of parameters beside a decay, which is nothing to them where it is off.
    pub(crate) fn decayed<R: Real>(x: &mut [R], decay: R) {
        if decay != R::zero() {
            x.iter_mut().for_each(|x| *x -= decay * *x);
        }
    }

    /// On the CPU: holds parameters to the constraint.
    pub(crate) fn constrain<R: Real>(&self, x: &mut [R]) {
        let (low, high) = (R::lit(self.low.into()), R::lit(self.high.into()));
        if self.mode & BOX != 0 {
            x.iter_mut().for_each(|x| *x = limited(*x, low, high));
        }
        if self.mode & COMPAND != 0 {
            x.iter_mut().for_each(|x| *x = low * (*x / high).atan());
        }
    }
}
