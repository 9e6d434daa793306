//! Spike encoders: from real numbers to spike trains `[T, ...]`, time first.
//!
//! Constant current, Poisson rate, latency and delta modulation, after section 3 of Eshraghian et
//! al. 2023, "Training spiking neural networks using lessons from deep learning". Spike trains are
//! packed ([`DType::Bits`](crate::DType::Bits); [`unpack`](crate::elementwise::unpack) makes f32 of
//! them) and the same on every device.

mod constant;
mod delta;
mod latency;
mod poisson;

pub use constant::constant;
pub use delta::{Delta, delta};
pub use latency::{Latency, latency};
pub use poisson::poisson;

use crate::kernel::Kernel;
use crate::{Error, Result, Shape};

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[&constant::REPEAT_STEPS, &delta::DELTA, &latency::LATENCY];

/// The shape `[steps, ...]` of a spike train of inputs of shape `shape`.
fn with_steps(op: &'static str, steps: usize, shape: &Shape) -> Result<Shape> {
    if steps == 0 {
        return Err(Error::argument(op, "no steps"));
    }
    Shape::new(&[&[steps], shape.dims()].concat())
}
