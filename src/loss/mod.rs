//! Losses: scalars to walk back from, and the count of rows that are classified rightly.
//!
//! Logits stand along the last axis, `[.., C]`; targets are u32 classes of shape `[..]`. Losses over
//! spike trains `[T, B, C]` take f32 or packed spikes.

mod accuracy;
mod cross_entropy;
mod linear_cross_entropy;
mod mse;
mod rate_mse;
mod scores;
mod stable_max;

pub use accuracy::{accuracy, accuracy_with};
pub use cross_entropy::{
    CrossEntropy, Reduction, check_targets, count_cross_entropy, cross_entropy, rate_cross_entropy,
};
pub use linear_cross_entropy::{
    LinearCrossEntropy, linear_cross_entropy, linear_cross_entropy_with, position_losses,
    position_losses_with,
};
pub use mse::mse;
pub use rate_mse::rate_mse;
pub use stable_max::stable_max;

pub(crate) use linear_cross_entropy::CrossEntropyTileParams;

use crate::kernel::Kernel;
use crate::reduce::{Fold, Op, Pass, fold};
use crate::{Result, Tensor};

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &cross_entropy::CROSS_ENTROPY,
    &cross_entropy::CROSS_ENTROPY_BACKWARD,
    &linear_cross_entropy::CROSS_ENTROPY_TILE,
    &linear_cross_entropy::SCALE_BY,
    &mse::MSE_BACKWARD,
    &rate_mse::RATE_MSE,
    &rate_mse::RATE_MSE_BACKWARD,
    &accuracy::HITS,
];

/// `sum(parts) / divisor`, a scalar.
fn total(parts: &Tensor, divisor: f32) -> Result<Tensor> {
    let pass = Pass { outer: 1, length: parts.count(), inner: 1 };
    fold(parts, pass, Fold { divisor, ..Fold::of(Op::Sum) })?.reshape([])
}
