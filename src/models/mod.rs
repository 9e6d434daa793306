//! Whole published models, made of layers.
//!
//! Both language models share the trait [`LanguageModel`]: training loss, one-token decode with a
//! state of constant size, generation, and files that know their own extents.
//!
//! ```
//! use spikegrad::models::{LanguageModel, Pass, Sampler, SymbolicLight, SymbolicLightConfig};
//! use spikegrad::{Device, Tape, Tensor, random::Generator};
//! # fn main() -> spikegrad::Result<()> {
//! let device = Device::host();
//! let mut random = Generator::new(&device, 0)?;
//! let config = SymbolicLightConfig::new(256).width(32).heads(2).layers(1).ffn(64).window(16);
//! let model = SymbolicLight::new(&config, &mut random)?;
//!
//! let tokens = Tensor::from_slice(&device, &[72u32, 101, 108, 108], [4, 1])?; // [S, B]
//! let targets = Tensor::from_slice(&device, &[101u32, 108, 108, 111], [4, 1])?;
//! let tape = Tape::new();
//! let loss = model.loss(&tokens, &targets, &mut Pass::new(&tape))?;
//! let gradients = loss.backward()?;
//! assert!(loss.value().item()? > 5.0); // ln 256 = 5.5, nothing is learned yet
//! # let _ = gradients;
//!
//! let text = model.generate(&[72], 8, &mut Sampler::new(7).temperature(0.8).top_k(40))?;
//! assert_eq!(text.len(), 8);
//! # Ok(())
//! # }
//! ```
//!
//! Both forecasters of multivariate series share the trait [`Forecaster`].
//!
//! ```
//! use spikegrad::models::{Forecaster, FourierGnn, FourierGnnConfig, Pass};
//! use spikegrad::{Device, Tape, random::Generator};
//! # fn main() -> spikegrad::Result<()> {
//! let device = Device::host();
//! let mut random = Generator::new(&device, 0)?;
//! let config = FourierGnnConfig::new(5).embed(8).hidden(16).horizon(3);
//! let model = FourierGnn::new(&config, &mut random)?;
//!
//! let window = random.normal([12, 4, 5])?; // [L, B, N]
//! let target = random.normal([3, 4, 5])?; // [H, B, N]
//! let tape = Tape::new();
//! let loss = model.loss(&window, &target, &mut Pass::training(&tape, &mut random))?;
//! let gradients = loss.total.backward()?;
//! # let _ = gradients;
//! assert_eq!(model.predict(&window)?.shape().dims(), [3, 4, 5]);
//! # Ok(())
//! # }
//! ```

mod config;
mod energy;
mod forecaster;
mod fourier_gnn;
mod language;
mod sample;
mod spike_gpt;
mod spikf_go;
mod symbolic_light;
mod training_loss;

pub use crate::nn::{Activity, Pass};
pub use energy::{AC_PICOJOULES, Energy, EnergyRow, LayerInput, MAC_PICOJOULES};
pub use forecaster::Forecaster;
pub use fourier_gnn::{FourierGnn, FourierGnnConfig, Mix};
pub use language::{Features, LanguageModel};
pub use sample::Sampler;
pub use spike_gpt::{SpikeGpt, SpikeGptConfig, SpikeGptState};
pub use spikf_go::{GateGradient, Penalty, SpikfGo, SpikfGoConfig};
pub use symbolic_light::{Encoder, SymbolicLight, SymbolicLightConfig, SymbolicLightState};
pub use training_loss::TrainingLoss;

use crate::{Result, Tensor, Var};

/// The last row of the leading axis: `[B, D]` of `[S, B, D]`.
fn last_row(x: &Var) -> Result<Tensor> {
    let [steps, rest @ ..] = x.shape().dims() else {
        return Err(crate::Error::shape("last_row", "a sequence without axes"));
    };
    x.detach().narrow(0, steps.saturating_sub(1)..*steps)?.value().reshape(rest)
}
