//! Layers made of operators.
//!
//! A layer owns its [`Param`](crate::Param)s and is called with variables of any tape; the tape is what
//! ties parameters to gradients. Layers are built without names: a parameter is called by the path to it,
//! see [`Module`]. A [`Pass`] says how modules are run: in training or not, with which generator.
//!
//! ```
//! use spikegrad::lif::{Lif, Spikes};
//! use spikegrad::nn::{Layer, LifLayer, Linear, Module, Pass};
//! use spikegrad::{Device, Result, Tape, Var, random::Generator};
//!
//! struct Network {
//!     first: Linear,
//!     hidden: LifLayer,
//!     second: Linear,
//! }
//! spikegrad::module!(Network { first, hidden, second });
//!
//! impl Layer for Network {
//!     fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
//!         let current = self.first.forward(x, pass)?;
//!         let spikes = self.hidden.forward(&current, pass)?;
//!         self.second.forward(&spikes, pass)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let random = &mut Generator::new(&Device::host(), 0)?;
//! let network = Network {
//!     first: Linear::builder(4, 8).build(random)?,
//!     hidden: LifLayer::new(Lif::new().output(Spikes::Bits)),
//!     second: Linear::builder(8, 3).build(random)?,
//! };
//! assert_eq!(network.params()[0].name(), "first.weight");
//!
//! let pass = &mut Pass::new(&Tape::new());
//! let x = pass.constant(&random.uniform([10, 5, 4])?); // [T, B, N]
//! assert_eq!(network.forward(&x, pass)?.shape().dims(), [10, 5, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! What runs one after another is a [`Sequential`].

mod activity;
mod batch_norm;
mod causal_conv;
mod compander;
mod dropout;
mod embedding;
mod init;
mod instance_norm;
mod layer;
mod layer_norm;
mod lif_layer;
mod linear;
mod module;
mod pass;
mod reach;
mod weight_norm;

pub use activity::Activity;
pub use batch_norm::BatchNorm;
pub use causal_conv::CausalConv;
pub use compander::Compander;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use init::Init;
pub(crate) use init::filled;
pub use instance_norm::InstanceNorm;
pub use layer::{Layer, Map, Sequential};
pub use layer_norm::LayerNorm;
pub use lif_layer::{LifLayer, LifLayerBuilder};
pub use linear::{Linear, LinearBuilder};
pub use module::{Module, Visitor};
pub use pass::Pass;
pub use weight_norm::WeightNormLinear;
