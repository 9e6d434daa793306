//! Train spiking networks, and the models around them, on any GPU that speaks Vulkan, Metal or DX12:
//! hand-written WGSL kernels, a dispatcher that records them, and an autograd tape over GPU buffers.
//! Where there is no GPU the same program runs on the CPU.
//!
//! Exclusive or, learned by two layers with a spiking one between them:
//!
//! ```
//! use spikegrad::lif::{Lif, Spikes};
//! use spikegrad::loss::{CrossEntropy, rate_cross_entropy};
//! use spikegrad::nn::{Layer, LifLayer, Linear, Module, Sequential};
//! use spikegrad::optim::AdamW;
//! use spikegrad::{Device, Tensor, random::Generator, train::TrainStep};
//!
//! # fn main() -> spikegrad::Result<()> {
//! let device = Device::best()?;
//! let mut random = Generator::new(&device, 0)?;
//! let network = Sequential::new()
//!     .and(Linear::builder(2, 32).gain(2.0).build(&mut random)?)
//!     .and(LifLayer::new(Lif::new().output(Spikes::Bits))) // 32 spikes to a word
//!     .and(Linear::builder(32, 2).build(&mut random)?);
//! let adam = AdamW::builder().learning_rate(0.02).build(&network.params())?;
//! let mut step = TrainStep::new(adam, random)?;
//!
//! let pairs = [0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0].repeat(8);
//! let x = Tensor::from_slice(&device, &pairs, [8, 4, 2])?; // [T, B, N]
//! let y = Tensor::from_slice(&device, &[0u32, 1, 1, 0], [4])?;
//! for _ in 0..150 {
//!     // Recorded the first time, replayed from then on.
//!     step.run([&x, &y], |pass, [x, y]| {
//!         let sums = network.forward(&pass.constant(x), pass)?;
//!         rate_cross_entropy(&sums, y, CrossEntropy::default())
//!     })?;
//! }
//! let last = step.finish()?.expect("150 steps").loss();
//! assert!(last < 0.1, "loss {last}");
//! # Ok(())
//! # }
//! ```
//!
//! # Conventions
//!
//! Sequences are time-major, `[T, B, N]`: time, batch, neurons. Tensors are contiguous and row-major.
//! Spikes are f32 zeros and ones, or packed bits ([`DType::Bits`]). Mistakes are [`Error`]s that name
//! the operator and the shapes; nothing panics on bad input. On an adapter an index out of range is
//! reported with the next read, and without debug assertions only after [`Device::check_indices`].
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`elementwise`] | arithmetic with broadcasting, activations, casts |
//! | [`reduce`] | sums, means, extrema, variances, norms, softmax |
//! | [`layout`] | permute, transpose, slice, pad, concat |
//! | [`linalg`] | matrix products, of floats and of packed spikes |
//! | [`random`] | the generator, dropout: the same bits on every device |
//! | [`encode`] | spike encoders |
//! | [`fourier`] | Fourier transforms of any length, complex operators |
//! | [`lif`] | the time-unrolled LIF scan |
//! | [`neuron`] | neurons of other equations, on one driver |
//! | [`attention`] | spike-gated sparse attention, one-token decode, attention without a softmax |
//! | [`norm`] | layer and root-mean-square normalisation |
//! | [`conv`] | causal convolutions over time |
//! | [`scan`] | linear recurrences over time: decay scans, traces, WKV |
//! | [`spectral`] | spectral clipping, polar factors, spectral norms |
//! | [`loss`], [`optim`] | losses, optimizers, schedules |
//! | [`token`] | embedding, token shift, the mix of two paths |
//! | [`nn`], [`train`] | layers, the training step |
//! | [`models`] | whole published models |
//! | [`tape`] | differentiation, and checks of gradients |
//! | `checkpoint`, `data`, `plot` | files and pictures, each behind the feature of its name |
//!
//! Where a program runs is a [`Device`]; what an operator does to it is a list of [`Launch`]es of
//! [`Kernel`]s. An operator of your own is a [`Kernel`] and a call of [`Tape::record`].

mod device;
mod dispatch;
mod dtype;
mod error;
mod file;
mod gpu;
mod host;
mod kernel;
mod narrow;
mod recur;
mod shape;
mod tensor;

pub mod tape;

pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod encode;
pub mod fourier;
pub mod layout;
pub mod lif;
pub mod linalg;
pub mod loss;
pub mod neuron;
pub mod norm;
pub mod optim;
pub mod random;
pub mod reduce;
pub mod scan;
pub mod spectral;
pub mod token;

pub mod models;
pub mod nn;
pub mod train;

#[cfg(feature = "checkpoint")]
pub mod checkpoint;
#[cfg(feature = "data")]
pub mod data;
#[cfg(feature = "plot")]
pub mod plot;

pub use device::{Device, DeviceBuilder};
#[cfg(feature = "checkpoint")]
pub use dispatch::write_launches;
pub use dispatch::{
    Bind, Bound, Capture, ExportedBinding, ExportedLaunch, Launch, MemoryReport, Profile,
    ProfileRow,
};
pub use dtype::DType;
pub use error::{Divergence, Error, Result};
pub use gpu::{
    Access, AdapterSummary, Binding, Capabilities, CoopMatrix, Element as BindingElement, Member,
    Override, Reflection, Scalar, WgslModule, compose, reflect, shared_sources, specialise, wgpu,
};
#[doc(hidden)]
pub use host::Ranged;
pub use host::{Array, HostArgs, Real};
pub use kernel::{BASELINE, Cost, CostArgs, Kernel, Needs, Params, Program, Twin, Variant};
pub use shape::{IntoShape, MAX_RANK, Shape};
pub use tape::{Gradients, Orientation, Param, Tape, Var};
pub use tensor::{Element, ReadBack, Tensor};

/// All kernels of the crate. What holds for every kernel is tested over this table.
pub fn kernels() -> Vec<&'static Kernel> {
    let declared = [
        tensor::KERNELS,
        elementwise::KERNELS,
        random::KERNELS,
        reduce::KERNELS,
        layout::KERNELS,
        linalg::KERNELS,
        lif::KERNELS,
        recur::KERNELS,
        attention::KERNELS,
        conv::KERNELS,
        loss::KERNELS,
        norm::KERNELS,
        optim::KERNELS,
        scan::KERNELS,
        encode::KERNELS,
        token::KERNELS,
        spectral::KERNELS,
        fourier::KERNELS,
    ];
    // A test says that the crate's own equations are right.
    let made = neuron::kernels().unwrap_or_default();
    declared.concat().into_iter().chain(made).collect()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
