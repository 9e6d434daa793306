//! Matrix products of floats and of packed spikes.
//!
//! | | operands | gradient |
//! |---|---|---|
//! | [`Matmul`], [`matmul`] | tensors, any [`Layout`], batched, f32 or f16, bias and activation fused | |
//! | [`Var::matmul`](crate::Var::matmul) and its layouts | variables | two more products |
//! | [`linear`] | `x [.., K]` floats, or packed spikes `[T, .., K]`, times `w [K, N]` | two products and at most one launch for the activation |

mod activation_gradient;
mod bits;
mod combine;
mod convert;
mod coop;
mod dense;
mod linear;
mod matmul;
mod oracle;
mod params;
mod product;
mod spikes;

pub use linear::linear;
pub use matmul::{Layout, Matmul, matmul};
pub use params::MatmulKernel;
pub(crate) use params::ProductParams;
pub(crate) use product::{register_tile, split_depth};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &dense::MATMUL,
    &dense::MATMUL_TILED,
    &dense::MATMUL_NAIVE,
    &coop::MATMUL_COOP,
    &combine::MATMUL_COMBINE,
    &spikes::BITS_MATMUL,
    &spikes::BITS_MATMUL_TN,
    &activation_gradient::ACTIVATE_GRADIENT,
    &convert::CONVERT,
];
