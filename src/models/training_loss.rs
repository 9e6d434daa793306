//! What comes of a model in training.

use crate::Var;
use crate::train::StepLoss;

/// What training minimises, and what it is judged by.
#[derive(Debug)]
pub struct TrainingLoss {
    /// What training minimises: the fit and any penalties.
    pub total: Var,
    /// How well the data are met: the mean cross-entropy in nats of a language model, the mean
    /// squared error of a forecaster.
    pub fit: Var,
}

impl TrainingLoss {
    /// The fit alone.
    pub fn of(fit: Var) -> Self {
        Self { total: fit.clone(), fit }
    }
}

/// The fit is reported as `fit`.
impl From<TrainingLoss> for StepLoss {
    fn from(loss: TrainingLoss) -> Self {
        StepLoss::new(loss.total).with("fit", loss.fit.value())
    }
}
