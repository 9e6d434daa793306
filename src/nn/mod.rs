//! Layers made of operators.
//!
//! A layer owns its [`Param`]s and is called with variables of any tape; the tape is what ties
//! parameters to gradients.
//!
//! ```
//! use spikegrad::lif::{Lif, Spikes};
//! use spikegrad::nn::{LifLayer, Linear, Module};
//! use spikegrad::{Device, Tape, Tensor, random::Generator};
//! # fn main() -> spikegrad::Result<()> {
//! let device = Device::host();
//! let mut random = Generator::new(&device, 0)?;
//! let first = Linear::builder("first", 4, 8).build(&mut random)?;
//! let hidden = LifLayer::new(Lif::new().output(Spikes::Bits));
//! let second = Linear::builder("second", 8, 3).build(&mut random)?;
//! assert_eq!(first.params()[0].name(), "first.weight");
//!
//! let tape = Tape::new();
//! let x = tape.constant(&random.uniform([10, 5, 4])?); // [T, B, N]
//! let spikes = hidden.forward(&first.forward(&x)?)?;
//! let y = second.forward(&spikes)?;
//! assert_eq!(y.shape().dims(), [10, 5, 3]);
//! # Ok(())
//! # }
//! ```

mod batch_norm;
mod causal_conv;
mod compander;
mod embedding;
mod init;
mod instance_norm;
mod layer_norm;
mod lif_layer;
mod linear;
mod reach;
mod weight_norm;

pub use batch_norm::BatchNorm;
pub use causal_conv::CausalConv;
pub use compander::Compander;
pub use embedding::Embedding;
pub use init::Init;
pub(crate) use init::filled;
pub use instance_norm::InstanceNorm;
pub use layer_norm::LayerNorm;
pub use lif_layer::{LifLayer, LifLayerBuilder};
pub use linear::{Linear, LinearBuilder};
pub use weight_norm::WeightNormLinear;

use crate::Param;

/// Something with parameters.
pub trait Module {
    /// Its parameters, in a fixed order.
    fn params(&self) -> Vec<Param>;
}

/// The parameters of several modules, one after another.
pub fn params_of(modules: &[&dyn Module]) -> Vec<Param> {
    modules.iter().flat_map(|module| module.params()).collect()
}
