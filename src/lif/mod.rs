//! The time-unrolled leaky integrate-and-fire scan: one launch a direction for any number of steps.

mod backward;
mod forward;
mod neuron;
mod parameters;
mod scan;
mod surrogate;
mod twin;

pub use neuron::{Gain, Gradient, Lif, Neurons, Reset, Save, Spikes};
pub use scan::LifOutput;
pub use surrogate::Surrogate;

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "lif";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] =
    &[&forward::LIF_FORWARD, &backward::LIF_BACKWARD, &parameters::LIF_PARAMETERS];
