//! The time-unrolled leaky integrate-and-fire scan.

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[];
