//! The optimizers, by their rules.

use super::engine::Engine;
use crate::error::Result;
use crate::{Gradients, Param, Tensor};
use std::marker::PhantomData;

/// An optimizer with the rule `R`: [`Sgd`](super::Sgd), [`AdamW`](super::AdamW) and the others are
/// names of this type. Their builders are [`OptimizerBuilder`](super::OptimizerBuilder)s.
#[derive(Debug)]
pub struct Descent<R> {
    pub(super) engine: Engine,
    pub(super) rule: PhantomData<fn() -> R>,
}

impl<R> Descent<R> {
    /// A learning rate in place of the schedule's, from the next step or replay on; `None` goes back to the
    /// schedule. Groups with builders of their own keep theirs.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a rate that is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: impl Into<Option<f64>>) -> Result<()> {
        self.engine.set_rate(rate.into())
    }
}

/// What all optimizers have in common.
pub trait Optimizer {
    /// Goes on to the next step: counts it, writes its learning rate and bias corrections to device
    /// memory, and updates every parameter that has a gradient; the others stay as they are. In a
    /// capture, every replay does all of it again.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) where none of the parameters has a gradient, and
    /// for a second step in one capture; [`Error::Shape`](crate::Error::Shape) for a gradient of
    /// another shape than its parameter's; device loss. A step that is refused is not counted.
    fn step(&mut self, gradients: &Gradients) -> Result<()>;

    /// The parameters that it updates.
    fn params(&self) -> Vec<Param>;

    /// The steps counted so far, replays included. Schedules and warm-ups follow them, so skipped steps
    /// count; in bias corrections, whose counter is kept on the device, they do not.
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
    /// gradients was not finite: an infinity or a NaN among them.
    /// Always 0 where [`skip_non_finite`](super::OptimizerBuilder::skip_non_finite) is off and
    /// [`clip_norm`](super::OptimizerBuilder::clip_norm) not given. Waits for the device.
    ///
    /// # Errors
    /// Device loss.
    fn skipped(&self) -> Result<u64>;
}

impl<R> Optimizer for Descent<R> {
    fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.engine.step(gradients)
    }

    fn params(&self) -> Vec<Param> {
        self.engine.params()
    }

    fn steps(&self) -> u64 {
        self.engine.clock().steps()
    }

    fn set_steps(&mut self, steps: u64) {
        self.engine.clock().set_steps(steps);
    }

    fn learning_rate(&self) -> f64 {
        self.engine.clock().learning_rate()
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

impl<O: Optimizer + ?Sized> Optimizer for Box<O> {
    fn step(&mut self, gradients: &Gradients) -> Result<()> {
        (**self).step(gradients)
    }

    fn params(&self) -> Vec<Param> {
        (**self).params()
    }

    fn steps(&self) -> u64 {
        (**self).steps()
    }

    fn set_steps(&mut self, steps: u64) {
        (**self).set_steps(steps);
    }

    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        (**self).state()
    }

    fn gradient_norm(&self) -> Result<f32> {
        (**self).gradient_norm()
    }

    fn skipped(&self) -> Result<u64> {
        (**self).skipped()
    }
}
