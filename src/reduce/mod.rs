//! Sums, means, extrema, variances and norms over axes; softmax.

mod axes;
mod fold;
mod spread;
mod sum;
mod twin;

pub use sum::{mean, sum, sum_to};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[&fold::REDUCE_ROWS, &fold::REDUCE_COLUMNS, &spread::SPREAD];
