//! Training: a step that is recorded once and replayed ([`TrainStep`]), the state of a run in one file
//! ([`TrainStep::save`], [`TrainStep::resume`]), and epochs with an evaluation (`Fit`).
//!
//! A spiking network learns digits; here only some of them, for two epochs.
//!
//! ```
//! # #[cfg(all(feature = "checkpoint", feature = "data"))]
//! # mod program {
//! use spikegrad::data::{Batches, digits};
//! use spikegrad::lif::{Lif, Spikes};
//! use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
//! use spikegrad::nn::{Layer, LifLayer, Linear, Map, Module, Pass, Sequential};
//! use spikegrad::optim::AdamW;
//! use spikegrad::train::{Fit, TrainStep};
//! use spikegrad::{Device, Result, Tensor, random::Generator};
//!
//! # pub
//! fn main() -> Result<()> {
//!     let images = digits()?.train.first(256);
//!     let device = Device::best()?;
//!     let mut random = Generator::new(&device, 0)?;
//!     let network = Sequential::new()
//!         .and(Linear::builder(images.features(), 64).gain(2.0).build(&mut random)?)
//!         .and(Map::new(|x| x.repeat_steps(8))) // the same current at 8 time steps
//!         .and(LifLayer::new(Lif::new().output(Spikes::Bits)))
//!         .and(Linear::builder(64, images.classes()).gain(2.0).build(&mut random)?)
//!         .and(Map::new(|x| x.mean(&[0], false)));
//!     let adam = AdamW::builder().learning_rate(0.01).build(&network.params())?;
//!     let mut step = TrainStep::new(adam, random)?;
//!
//!     let tensors = |chosen: &[usize]| {
//!         let (pixels, labels) = (images.pixels(chosen)?, images.labels(chosen)?);
//!         let pixels = Tensor::from_slice(&device, &pixels, [chosen.len(), images.features()])?;
//!         Ok([pixels, Tensor::from_slice(&device, &labels, [chosen.len()])?])
//!     };
//!     let batches = Batches::new(images.len(), 64, 0);
//!     let batches = |epoch| Ok(batches.epoch(epoch).into_iter().map(|batch| tensors(&batch)));
//!     let loss = |pass: &mut Pass<'_>, [pixels, labels]: [&Tensor; 2]| {
//!         let logits = network.forward(&pass.constant(pixels), pass)?;
//!         cross_entropy(&logits, labels, CrossEntropy::default())
//!     };
//!     let [pixels, labels] = tensors(&[0, 1, 2, 3])?; // other images, in earnest
//!     let misses = || {
//!         let pass = &mut Pass::evaluation();
//!         let logits = network.forward(&pass.constant(&pixels), pass)?;
//!         Ok(4.0 - f64::from(accuracy(logits.value(), &labels)?.item()?))
//!     };
//!     let epochs = Fit::new(2).run((&mut step, &network), batches, loss, misses, |e| println!("{e}"))?;
//!     assert!(epochs[1].loss < epochs[0].loss);
//!     Ok(())
//! }
//! # }
//! # #[cfg(all(feature = "checkpoint", feature = "data"))]
//! # program::main().unwrap();
//! ```

#[cfg(feature = "checkpoint")]
mod fit;
mod gather;
mod loss;
mod numbers;
mod recorded;
#[cfg(feature = "checkpoint")]
mod saved;
mod step;

#[cfg(feature = "checkpoint")]
pub use fit::{Epoch, Fit};
pub use loss::StepLoss;
pub use numbers::Numbers;
pub use step::TrainStep;

const OP: &str = "train_step";
