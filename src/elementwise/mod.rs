//! Element by element.

mod accumulate;
mod activation;
mod fill;
mod twin;

pub(crate) use accumulate::accumulate;
pub use activation::Activation;
pub use fill::full;

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[&accumulate::ACCUMULATE, &fill::FILL];
