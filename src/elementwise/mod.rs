//! Element by element: arithmetic with broadcasting, functions, activations, casts.
//!
//! Every operator is one launch forward and at most one an input backward. Where the number of
//! elements allows, an invocation moves four of them at once.

mod activation;
mod binary;
mod bits;
mod broadcast;
mod fma_peak;
mod half;
mod operators;
mod table;
mod unary;
mod update;

pub(crate) use activation::{ACTIVATION_MODULE, sigmoid};
pub use activation::{Activation, activate, activate_backward};
pub(crate) use binary::BINARY_MODULE;
pub use binary::{Binary, binary};
pub(crate) use bits::Packed;
pub use bits::{pack, unpack};
pub use fma_peak::fma_peak;
pub(crate) use fma_peak::{CHAINS, FmaPeakParams, STEPS};
pub use half::{from_half, to_half};
pub(crate) use unary::UNARY_MODULE;
pub use unary::{Unary, unary};
pub(crate) use update::{BOX, COMPAND, FusedUpdate, UpdateConstants};

// Other families take it from here still.
pub(crate) use crate::host::each;
use crate::kernel::Kernel;
pub use crate::tensor::{copy, full, full_like};

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &activation::ACTIVATE,
    &activation::ACTIVATE_BACKWARD,
    &binary::BINARY,
    &binary::BINARY_BACKWARD,
    &binary::BINARY_BROADCAST,
    &fma_peak::FMA_PEAK,
    &half::FROM_HALF,
    &half::TO_HALF,
    &bits::PACK,
    &bits::UNPACK,
    &unary::UNARY,
    &unary::UNARY_BACKWARD,
];
