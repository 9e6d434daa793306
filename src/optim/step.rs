//! The step of a parameter, as kernels of other families end with it.

use super::numbers::COUNT;
use super::update::{BOX, COMPAND, Stride};
use crate::Tensor;
use crate::host::Real;

/// A parameter that a kernel moves along what it computes, instead of writing that to memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) parameter: &'a Tensor,
    pub(crate) stride: &'a Stride,
    pub(crate) numbers: &'a Tensor,
    pub(crate) clip: &'a Tensor,
}

impl Step<'_> {
    /// Where the numbers of the parameter's group begin.
    pub(crate) fn place(&self) -> u32 {
        (self.stride.group * COUNT) as u32
    }
}

/// For twins: what a parameter loses to decay, and what it takes of the direction, from the numbers of
/// its group and `(decay, scale, gain)`.
pub(crate) fn step_rates<R: Real>(numbers: &[R], [decay, scale, gain]: [f32; 3]) -> [R; 2] {
    let real = |value: f32| R::lit(value.into());
    let eta = numbers[0] * real(scale);
    [eta * real(decay), eta * real(gain) * numbers[3]]
}

/// For twins: parameters held to the constraint that `mode` names.
pub(crate) fn constrain<R: Real>(mode: u32, [low, high]: [f32; 2], x: &mut [R]) {
    let (low, high) = (R::lit(low.into()), R::lit(high.into()));
    if mode & BOX != 0 {
        x.iter_mut().for_each(|x| *x = x.max(low).min(high));
    }
    if mode & COMPAND != 0 {
        x.iter_mut().for_each(|x| *x = low * (*x / high).atan());
    }
}
