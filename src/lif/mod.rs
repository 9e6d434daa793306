//! The time-unrolled leaky integrate-and-fire scan: one launch a direction for any number of steps.

mod backward;
mod forward;
mod layer;
pub(crate) mod membrane;
mod neuron;
pub(crate) mod parameters;
pub(crate) mod params;
mod scan;
pub(crate) mod surrogate;

pub use neuron::{Gain, Gradient, Lif, Neurons, Reset, Save, Spikes};
pub use scan::LifOutput;
pub(crate) use scan::check_parameter;
pub use surrogate::Surrogate;

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "lif";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] =
    &[&forward::LIF_FORWARD, &backward::LIF_BACKWARD, &parameters::LIF_PARAMETERS];
