//! The optimizers, by their rules.

use super::engine::Engine;
use crate::error::Result;
use crate::{Gradients, Tensor};
use std::marker::PhantomData;

/// An optimizer with the rule `R`: [`Sgd`](super::Sgd), [`AdamW`](super::AdamW) and the others are
/// names of this type. Their builders are [`Recipe`](super::Recipe)s.
#[derive(Debug)]
pub struct Descent<R> {
    pub(super) engine: Engine,
    pub(super) rule: PhantomData<fn() -> R>,
}

impl<R> Descent<R> {
    /// A learning rate in place of the schedule's, from the next tick on; `None` goes back to the
    /// schedule. Groups of their own recipes keep theirs.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a rate that is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: impl Into<Option<f64>>) -> Result<()> {
        self.engine.set_rate(rate.into())
    }
}

/// What all optimizers have in common.
pub trait Optimizer {
    /// Goes on to the next step: counts it and writes its learning rate and bias corrections to
    /// device memory. Call it before every [`step`](Self::step) and every replay of a captured one,
    /// outside of the capture.
    ///
    /// # Errors
    /// A call within a capture; device loss.
    fn tick(&mut self) -> Result<()>;

    /// Records the update of every parameter that has a gradient; the others stay as they are.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) before the first [`tick`](Self::tick), and for
    /// gradients of none of its parameters;
    /// [`Error::Shape`](crate::Error::Shape) for a gradient of another shape than its parameter's;
    /// device loss.
    fn step(&self, gradients: &Gradients) -> Result<()>;

    /// The steps counted so far. Schedules and warm-ups follow them, so skipped steps count; in bias
    /// corrections, whose counter is kept on the device, they do not.
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
    /// Always 0 where [`skip_non_finite`](super::Recipe::skip_non_finite) is off and
    /// [`clip_norm`](super::Recipe::clip_norm) not given. Waits for the device.
    ///
    /// # Errors
    /// Device loss.
    fn skipped(&self) -> Result<u64>;
}

impl<R> Optimizer for Descent<R> {
    fn tick(&mut self) -> Result<()> {
        self.engine.tick()
    }

    fn step(&self, gradients: &Gradients) -> Result<()> {
        self.engine.step(gradients)
    }

    fn steps(&self) -> u64 {
        self.engine.steps()
    }

    fn set_steps(&mut self, steps: u64) {
        self.engine.set_steps(steps);
    }

    fn learning_rate(&self) -> f64 {
        self.engine.learning_rate()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.engine.state()
    }

    fn gradient_norm(&self) -> Result<f32> {
        self.engine.gradient_norm()
    }

    fn skipped(&self) -> Result<u64> {
        self.engine.skipped()
    }
}
