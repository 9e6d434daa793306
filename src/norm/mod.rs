//! Normalisation of rows: layer normalisation and its form without a mean; and of the columns of
//! weights.
//!
//! The norms of rows are methods of [`Var`](crate::Var) over the last axis of any shape; each is one
//! launch forward, one for the gradient of its input, and two stages in a fixed order for those of
//! gain and bias.

mod backward;
mod forward;
mod layer_norm;
mod normal;
mod weight_norm;

pub(crate) use backward::NormBackwardParams;
pub(crate) use forward::NormForwardParams;
pub(crate) use normal::{Normal, Scaled, pivot};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &forward::NORM_FORWARD,
    &backward::NORM_BACKWARD,
    &backward::NORM_PARAMETERS,
    &weight_norm::WEIGHT_NORM,
    &weight_norm::WEIGHT_NORM_BACKWARD,
];
