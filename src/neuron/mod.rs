//! Neurons of other equations than the leaky integrate-and-fire scan ([`lif`](crate::lif)): a [`Neuron`] is
//! made of a step that is written once.
//!
//! In a network it is part of a layer, whose parameters are variables of the tape:
//!
//! ```
//! use spikegrad::nn::{Init, Layer, Linear, Module, Pass, Sequential};
//! use spikegrad::{Device, Param, Result, Tensor, Var, lif::Spikes, module, neuron, random::Generator};
//!
//! /// Adaptive neurons, each with a decay of its own that is learned through a sigmoid.
//! struct Adaptive {
//!     neuron: neuron::Neuron,
//!     decay: Param,
//! }
//!
//! module!(Adaptive { decay });
//!
//! impl Adaptive {
//!     fn new(neurons: usize, random: &mut Generator) -> Result<Self> {
//!         let neuron = neuron::adaptive()?.output(Spikes::Bits);
//!         Ok(Self { neuron, decay: Init::Constant(2.0).param("decay", &[neurons], random)? })
//!     }
//! }
//!
//! impl Layer for Adaptive {
//!     fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
//!         let beta = x.tape().param(&self.decay).sigmoid()?;
//!         Ok(self.neuron.scan_with(&[x], None, &[("beta", &beta)])?.emitted.remove(0))
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let mut random = Generator::new(&Device::host(), 0)?;
//! let network = Sequential::new()
//!     .named("in", Linear::builder(4, 8).build(&mut random)?)
//!     .named("hidden", Adaptive::new(8, &mut random)?)
//!     .named("out", Linear::builder(8, 2).build(&mut random)?); // reads the packed spikes
//! let names: Vec<String> = network.params().iter().map(|p| p.name().into()).collect();
//! assert_eq!(names, ["in.weight", "in.bias", "hidden.decay", "out.weight", "out.bias"]);
//! let pass = &mut Pass::evaluation();
//! let x = pass.constant(&Tensor::zeros(&Device::host(), [10, 3, 4], spikegrad::DType::F32)?);
//! assert_eq!(network.forward(&x, pass)?.shape().dims(), [10, 3, 2]);
//! # Ok(())
//! # }
//! ```

mod define;
mod presets;
mod reset;
mod synaptic;

pub use crate::recur::{Equations, Expr};
pub use define::{Neuron, NeuronOutput};
pub use presets::{
    LITERATURE, adaptive, exponential, izhikevich, leaky_integrator, quadratic, resonate_and_fire,
};
pub use reset::Reset;
pub use synaptic::{Synaptic, SynapticOutput, SynapticParameters};

use crate::Result;
use crate::kernel::Kernel;

/// The kernels of the neurons that the crate has, each with its usual options.
pub(crate) fn kernels() -> Result<Vec<&'static Kernel>> {
    let mut neurons = vec![Synaptic::new(0.5, 0.5).neuron()?];
    for neuron in LITERATURE {
        neurons.push(neuron()?);
    }
    Ok(neurons.iter().flat_map(Neuron::kernels).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn equations_are_right() {
        assert!(!super::kernels().unwrap().is_empty());
    }
}
