//! Causal convolutions over time: what comes at a step depends on this one and those before alone.
//!
//! Series are time-major, `[T, B, C]`. Tap k of K looks `(K - 1 - k) dilation` steps back, so that the
//! last one sees the step itself; what lies before the first step is 0. [`Var::causal_conv`] mixes
//! all channels, [`Var::depthwise_conv`] keeps each by itself.
//!
//! [`Var::causal_conv`]: crate::Var::causal_conv
//! [`Var::depthwise_conv`]: crate::Var::depthwise_conv

mod causal;
mod depthwise;
mod params;

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &causal::FOLD_TIME,
    &causal::UNFOLD_TIME,
    &depthwise::DEPTHWISE_CONV,
    &depthwise::DEPTHWISE_WEIGHTS,
];
