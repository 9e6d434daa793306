//! Optimizers, schedules and gradient clipping.
//!
//! Every optimizer is a [`OptimizerBuilder`]: hooks on the gradients, a rule that turns them into directions,
//! and a step that may be held to a [`Constraint`]; groups of parameters may have builders of their
//! own. All rules are forms of one kernel, and rule and step are one launch a parameter.
//!
//! | | direction | state a parameter |
//! |---|---|---|
//! | [`Sgd`] | the gradient, or its momentum | 1, or none |
//! | [`Adam`], [`AdamW`] | mean over root mean square | 2 |
//! | [`AdEmaMix`] | with a second, slow mean | 3 |
//! | [`Spam`] | Adam's, spikes limited, moments reset now and then | 2 |
//! | [`Signum`] | the sign of the momentum | 1 |
//! | [`Muon`], [`NorMuon`] | the polar factor of the momentum | 1 |
//! | [`Dion`] | the polar factor of a low-rank part of it | 1 and a factor |
//!
//! Hooks for every one of them: [`clip_norm`](OptimizerBuilder::clip_norm),
//! [`skip_non_finite`](OptimizerBuilder::skip_non_finite), [`orthogonal`](OptimizerBuilder::orthogonal),
//! [`pre_clip`](OptimizerBuilder::pre_clip) and [`post_clip`](OptimizerBuilder::post_clip) (SPECTRA),
//! [`constraint`](OptimizerBuilder::constraint), [`group`](OptimizerBuilder::group).
//!
//! A step is launches only; what changes from step to step (learning rate, bias corrections) is
//! written to device memory first, by [`Optimizer::step`] and by every replay of a captured one:
//!
//! ```
//! use spikegrad::optim::{AdamW, Optimizer, Schedule};
//! use spikegrad::{Device, Param, Tape, Tensor};
//! # fn main() -> spikegrad::Result<()> {
//! let device = Device::host();
//! let x = Param::new("x", Tensor::from_slice(&device, &[1.0f32, -2.0], [2])?);
//! let mut optimizer = AdamW::builder()
//!     .schedule(Schedule::cosine(0.1, 100).warmup(10))
//!     .clip_norm(1.0)
//!     .build(std::slice::from_ref(&x))?;
//! let ((), capture) = device.capture(|| {
//!     let leaf = Tape::new().param(&x);
//!     let gradients = leaf.backward_from(x.value())?; // of |x|^2 / 2
//!     optimizer.step(&gradients)
//! })?;
//! for _ in 1..100 {
//!     capture.replay()?;
//! }
//! assert_eq!(optimizer.steps(), 100);
//! assert!(x.value().to_vec::<f32>()?.iter().all(|x| x.abs() < 0.3));
//! # Ok(())
//! # }
//! ```

mod adamw;
mod ademamix;
mod builder;
mod clock;
mod constraint;
mod descent;
mod dion;
mod engine;
mod group;
mod low_rank;
mod muon;
mod neurons;
mod norm;
mod numbers;
mod project;
mod rule;
mod schedule;
mod sgd;
mod shaping;
mod sharing;
mod signum;
mod spam;
mod update;

pub use adamw::{Adam, AdamRule, AdamW, AdamWBuilder};
pub use ademamix::{AdEmaMix, AdEmaMixBuilder, AdEmaMixRule};
pub use builder::OptimizerBuilder;
pub use constraint::Constraint;
pub use descent::{Descent, Optimizer};
pub use dion::{Dion, DionBuilder, DionRule};
pub use muon::{Muon, MuonBuilder, MuonRule, NorMuon};
pub use rule::Rule;
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdBuilder, SgdRule};
pub use signum::{Signum, SignumBuilder, SignumRule};
pub use spam::{Spam, SpamBuilder, SpamRule};

pub(crate) use update::{CLIPPED, NESTEROV, SIGN, UpdateParams, WRITE};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &norm::CLIP_FACTOR,
    &low_rank::GRAM_FACTOR,
    &neurons::NEURON_FACTORS,
    &project::OVERLAP,
    &project::PROJECT,
    &norm::SQUARE_SUMS,
    &numbers::STEP_NUMBERS,
    &low_rank::UNIT_COLUMNS,
    &update::UPDATE,
];
