//! What a step minimises, and what it is to report.

use super::OP;
use crate::error::{Error, Result};
use crate::{DType, Device, Gradients, Tensor, Var};

/// What one step minimises, and further numbers that it is to report. A closure of a
/// [`TrainStep`](super::TrainStep) may also give the loss alone, a [`Var`].
#[derive(Debug, Clone)]
#[must_use]
pub struct StepLoss {
    total: Var,
    scale: Option<Tensor>,
    numbers: Vec<(String, Tensor)>,
}

impl StepLoss {
    /// The loss, a scalar. It is reported as `loss`.
    pub fn new(total: Var) -> Self {
        let numbers = vec![("loss".into(), total.value().clone())];
        Self { total, scale: None, numbers }
    }

    /// One more number to report: a tensor of one f32 element.
    pub fn with(mut self, name: impl Into<String>, number: &Tensor) -> Self {
        self.numbers.push((name.into(), number.clone()));
        self
    }

    /// Multiplies the gradients, not the loss that is reported, by a tensor of the shape of the loss: an
    /// input of the step, so that the factor can change from step to step.
    pub fn scaled(mut self, factor: &Tensor) -> Self {
        self.scale = Some(factor.clone());
        self
    }

    /// What is reported, by name, if all of it can be.
    pub(super) fn numbers(&self, device: &Device) -> Result<Vec<(String, Tensor)>> {
        if self.total.shape().count() != 1 {
            let detail = format!("a loss of shape {}, expected a scalar", self.total.shape());
            return Err(Error::shape(OP, detail));
        }
        for (place, (name, number)) in self.numbers.iter().enumerate() {
            if number.device() != device {
                let (left, right) = (device.to_string(), number.device().to_string());
                return Err(Error::DeviceMismatch { op: OP, left, right });
            }
            number.expect(OP, DType::F32)?;
            if number.count() != 1 {
                let detail = format!("`{name}` of shape {}, expected one number", number.shape());
                return Err(Error::shape(OP, detail));
            }
            if self.numbers[..place].iter().any(|(other, _)| other == name) {
                return Err(Error::argument(OP, format!("two numbers are called `{name}`")));
            }
        }
        Ok(self.numbers.clone())
    }

    /// The gradients, each a `share` of what it is.
    pub(super) fn backward(&self, share: Option<f32>) -> Result<Gradients> {
        match (&self.scale, share) {
            (None, None) => self.total.backward(),
            (Some(scale), None) => self.total.backward_from(scale),
            (Some(scale), Some(share)) => self.total.backward_from(&scale.mul_scalar(share)?),
            (None, Some(share)) => {
                let seed = crate::tensor::full(self.total.device(), *self.total.shape(), share)?;
                self.total.backward_from(&seed)
            }
        }
    }
}

impl From<Var> for StepLoss {
    fn from(total: Var) -> Self {
        Self::new(total)
    }
}
