//! Sums, means, extrema, variances and norms over axes; softmax.

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[];
