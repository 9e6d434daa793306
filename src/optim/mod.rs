//! Optimizers, schedules and gradient clipping.
//!
//! An optimizer's step is launches only; what changes from step to step (learning rate, bias
//! corrections) is written to device memory by [`Optimizer::tick`], so that a captured training
//! step can be replayed:
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
//! let step = |optimizer: &AdamW| {
//!     let leaf = Tape::new().param(&x);
//!     let gradients = leaf.backward_from(x.value())?; // of |x|^2 / 2
//!     optimizer.step(&gradients)
//! };
//! optimizer.tick()?;
//! let ((), capture) = device.capture(|| step(&optimizer))?;
//! for _ in 1..100 {
//!     optimizer.tick()?;
//!     capture.replay()?;
//! }
//! assert!(x.value().to_vec::<f32>()?.iter().all(|x| x.abs() < 0.3));
//! # Ok(())
//! # }
//! ```

mod adamw;
mod core;
mod norm;
mod schedule;
mod sgd;
mod twin;

pub use adamw::{AdamW, AdamWBuilder};
pub use schedule::Schedule;
pub use sgd::{Sgd, SgdBuilder};

use crate::kernel::Kernel;
use crate::{Gradients, Result, Tensor};

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[&adamw::ADAMW, &norm::CLIP_FACTOR, &sgd::SGD, &norm::SQUARE_SUM];

/// What all optimizers have in common.
pub trait Optimizer {
    /// Goes on to the next step: counts it and writes its learning rate and bias corrections,
    /// computed in f64, to device memory. Call it before every [`step`](Self::step) and every
    /// replay of a captured one, outside of the capture.
    ///
    /// # Errors
    /// A call within a capture; device loss.
    fn tick(&mut self) -> Result<()>;

    /// Records the update of every parameter that has a gradient; the others stay as they are.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) before the first [`tick`](Self::tick);
    /// [`Error::Shape`](crate::Error::Shape) for a gradient of another shape than its parameter's;
    /// device loss.
    fn step(&self, gradients: &Gradients) -> Result<()>;

    /// The steps counted so far. Skipped ones count.
    fn steps(&self) -> u64;

    /// Goes on from a saved step count.
    fn set_steps(&mut self, steps: u64);

    /// The learning rate of the step that was last counted.
    fn learning_rate(&self) -> f64;

    /// What must be saved to go on with the same bits, apart from the parameters and
    /// [`steps`](Self::steps): tensors that share the optimizer's memory, with their names.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// The norm of all gradients of the last step together, before clipping; 0 without clipping
    /// and for a skipped step. Waits for the device.
    ///
    /// # Errors
    /// Device loss.
    fn gradient_norm(&self) -> Result<f32>;

    /// How many steps were skipped, parameters and moments untouched, because the norm of the
    /// gradients was not finite: an infinity or a NaN among them, or squares whose sum overflows.
    /// Always 0 without clipping, which is what looks for them. Waits for the device.
    ///
    /// # Errors
    /// Device loss.
    fn skipped(&self) -> Result<u64>;
}
