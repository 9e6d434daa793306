//! A forecaster and what its windows are made relative to.

use spikegrad::models::{Forecaster, Pass};
use spikegrad::{Result, Tensor, Var};

/// What the values of a window are relative to when the model sees them, and its forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// The mean of the window, in units of its standard deviation: the model's own normalisation.
    Mean,
    /// The last value, in units of the root mean square of the differences to it. A forecast of 0 is
    /// the last value then.
    Last,
    /// Nothing.
    None,
}

/// Added to the mean square.
const EPS: f32 = 1e-5;

/// A model that sees windows so. It must be built with the normalisation that [`Norm::own`] says.
pub struct Network<M> {
    pub model: M,
    pub norm: Norm,
}

impl Norm {
    /// Whether the model normalises by itself.
    pub fn own(self) -> bool {
        self == Norm::Mean
    }
}

impl<M: Forecaster> Network<M> {
    /// The forecast `[H, B, N]` of `window [L, B, N]`.
    pub fn forecast(&self, window: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let window = pass.constant(window);
        if self.norm != Norm::Last {
            return self.model.forecast(&window, pass);
        }
        let steps = window.shape()[0];
        let last = window.narrow(0, steps - 1..steps)?;
        let differences = window.sub(&last)?;
        let unit = differences.square()?.mean(&[0], true)?.add_scalar(EPS)?.sqrt()?;
        let forecast = self.model.forecast(&differences.div(&unit)?, pass)?;
        forecast.mul(&unit)?.add(&last)
    }
}
