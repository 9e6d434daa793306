//! What normalisations of values of every size share.

use crate::{Device, Result, Tensor, elementwise};

/// Added to the variance.
const EPS: f64 = 1e-5;

/// `[1]`: the root of what is added to the variance, to be added to a standard deviation by `hypot`.
pub(super) fn root_of_eps(device: &Device) -> Result<Tensor> {
    elementwise::full(device, [1], EPS.sqrt() as f32)
}

/// A number for each `spread`: values, their mean and the spread times it are small enough that neither a
/// difference of the former nor a quotient by the latter leaves f32. It is 1 for spreads up to 2^24.
pub(super) fn reach(spread: &Tensor) -> Result<Tensor> {
    const LARGE: f32 = (1u32 << 24) as f32;
    spread.mul_scalar(LARGE.recip())?.maximum_scalar(1.0)?.recip()
}
