//! Neurons of other equations than the leaky integrate-and-fire scan ([`lif`](crate::lif)): a [`Neuron`] is
//! made of a step that is written once.

mod define;
mod presets;
mod reset;
mod synaptic;

pub use crate::recur::{Equations, Expr};
pub use define::{Neuron, NeuronOutput};
pub use presets::{
    adaptive, exponential, izhikevich, leaky_integrator, quadratic, resonate_and_fire,
};
pub use reset::Reset;
pub use synaptic::{Synaptic, SynapticOutput, SynapticParameters};

use crate::Result;
use crate::kernel::Kernel;

/// The kernels of the neurons that the crate has, each with its usual options.
pub(crate) fn kernels() -> Result<Vec<&'static Kernel>> {
    let neurons = [
        Synaptic::new(0.5, 0.5).neuron()?,
        adaptive()?,
        exponential()?,
        izhikevich()?,
        leaky_integrator()?,
        quadratic()?,
        resonate_and_fire()?,
    ];
    Ok(neurons.iter().flat_map(Neuron::kernels).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn equations_are_right() {
        assert!(!super::kernels().unwrap().is_empty());
    }
}
