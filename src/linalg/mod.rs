//! Matrix products of floats and of packed spikes.

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[];
