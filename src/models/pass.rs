//! One run of a model, and what comes of it in training.

use super::Activity;
use crate::error::Result;
use crate::random::Generator;
use crate::{Tape, Var};

/// How a model is run.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(super) tape: Tape,
    random: Option<&'a mut Generator>,
    dropout: f32,
    training: bool,
    activity: Option<&'a mut Activity>,
    /// The target of positions that are padding.
    pub(super) ignore_index: Option<u32>,
    /// Rates of spikes, for a penalty.
    pub(super) rates: Option<Vec<Var>>,
}

impl<'a> Pass<'a> {
    /// A pass on a tape; [`Tape::off`] if no gradients are wanted.
    pub fn new(tape: &Tape) -> Self {
        Self {
            tape: tape.clone(),
            random: None,
            dropout: 0.0,
            training: false,
            activity: None,
            ignore_index: None,
            rates: None,
        }
    }

    /// Silences each value of the embedding and of what a block adds with probability `p`.
    #[must_use]
    pub fn dropout(mut self, p: f32, random: &'a mut Generator) -> Self {
        self.dropout = p;
        self.random = Some(random);
        self
    }

    /// A pass of training, for models that then run otherwise: stochastic gates are drawn with noise
    /// from `random`, and batch normalisation takes the statistics of the batch and keeps them.
    #[must_use]
    pub fn training(mut self, random: &'a mut Generator) -> Self {
        self.training = true;
        self.random = Some(random);
        self
    }

    /// The target of positions that are padding, for the loss of a
    /// [`LanguageModel`](super::LanguageModel): they have loss 0 and gradient 0, and do not count in the
    /// mean. None by default.
    ///
    /// The model runs over them all the same: their tokens must be in the vocabulary, and what fires
    /// there is noted.
    #[must_use]
    pub fn ignore_index(mut self, index: Option<u32>) -> Self {
        self.ignore_index = index;
        self
    }

    /// Notes what fires.
    #[must_use]
    pub fn activity(mut self, activity: &'a mut Activity) -> Self {
        self.activity = Some(activity);
        self
    }

    /// Whether this is a pass of [`training`](Self::training).
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Whether activity is noted.
    pub(super) fn is_watched(&self) -> bool {
        self.activity.is_some()
    }

    /// Where the noise of stochastic gates comes from, in training.
    pub(super) fn noise(&mut self) -> Option<&mut Generator> {
        self.random.as_deref_mut().filter(|_| self.training)
    }

    pub(super) fn drop(&mut self, x: Var) -> Result<Var> {
        match &mut self.random {
            Some(random) if self.dropout > 0.0 => x.dropout(self.dropout, random),
            _ => Ok(x),
        }
    }

    pub(super) fn see_spikes(
        &mut self,
        place: impl FnOnce() -> String,
        spikes: &Var,
    ) -> Result<()> {
        if let Some(activity) = &mut self.activity {
            activity.see_spikes(&place(), spikes.value());
        }
        if let Some(rates) = &mut self.rates {
            rates.push(spikes.rate()?.mean_all()?);
        }
        Ok(())
    }

    /// Notes something else that fires or opens.
    pub(super) fn see(&mut self, note: impl FnOnce(&mut Activity) -> Result<()>) -> Result<()> {
        match &mut self.activity {
            Some(activity) => note(activity),
            None => Ok(()),
        }
    }
}

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
