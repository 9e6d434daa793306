//! One run of a module: in training or not, where draws come from, and who watches.

use super::Activity;
use crate::error::{Error, Result};
use crate::random::Generator;
use crate::{Tape, Tensor, Var};

/// How modules are run once: the tape, whether this is training, where random draws come from, and who
/// watches what fires.
///
/// In training, stochastic gates are drawn with noise, dropout drops, and batch normalisation takes the
/// statistics of the batch and keeps them.
#[derive(Debug)]
pub struct Pass<'a> {
    tape: Tape,
    random: Option<&'a mut Generator>,
    dropout: f32,
    training: bool,
    activity: Option<&'a mut Activity>,
    /// The target of positions that are padding.
    pub(crate) ignore_index: Option<u32>,
    /// Rates of spikes, for a penalty.
    pub(crate) rates: Option<Vec<Var>>,
}

impl<'a> Pass<'a> {
    /// A pass on a tape as after training, with gradients if the tape is on.
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

    /// A pass after training, without gradients.
    pub fn evaluation() -> Self {
        Self::new(&Tape::off())
    }

    /// A pass of training, which draws from `random`.
    pub fn training(tape: &Tape, random: &'a mut Generator) -> Self {
        Self { training: true, ..Self::new(tape).draws(random) }
    }

    /// Where modules that draw in any pass draw from.
    #[must_use]
    pub fn draws(mut self, random: &'a mut Generator) -> Self {
        self.random = Some(random);
        self
    }

    /// In training, models silence each value of the embedding and of what a block adds with
    /// probability `p`.
    #[must_use]
    pub fn dropout(mut self, p: f32) -> Self {
        self.set_dropout(p);
        self
    }

    /// [`dropout`](Self::dropout), of a pass that is lent.
    pub fn set_dropout(&mut self, p: f32) {
        self.dropout = p;
    }

    /// The target of positions that are padding, for the loss of a
    /// [`LanguageModel`](crate::models::LanguageModel): they have loss 0 and gradient 0, and do not count in
    /// the mean. None by default.
    ///
    /// The model runs over them all the same: their tokens must be in the vocabulary, and what fires
    /// there is noted.
    #[must_use]
    pub fn ignore_index(mut self, index: Option<u32>) -> Self {
        self.set_ignore_index(index);
        self
    }

    /// [`ignore_index`](Self::ignore_index), of a pass that is lent.
    pub fn set_ignore_index(&mut self, index: Option<u32>) {
        self.ignore_index = index;
    }

    /// Notes what fires.
    #[must_use]
    pub fn activity(mut self, activity: &'a mut Activity) -> Self {
        self.activity = Some(activity);
        self
    }

    /// The tape.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// A variable on the tape that gets no gradient.
    pub fn constant(&self, value: &Tensor) -> Var {
        self.tape.constant(value)
    }

    /// Whether this is a pass of training.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Where random draws come from.
    ///
    /// # Errors
    /// [`Error::Argument`] for a pass without a generator.
    pub fn random(&mut self) -> Result<&mut Generator> {
        let none = "random draws in a pass without a generator (`Pass::draws` gives it one)";
        self.random.as_deref_mut().ok_or_else(|| Error::argument("pass", none))
    }

    /// Notes spikes of a place, where that is asked for.
    ///
    /// # Errors
    /// Those of [`Var::rate`], and device loss.
    pub fn see_spikes(&mut self, place: impl FnOnce() -> String, spikes: &Var) -> Result<()> {
        if let Some(activity) = &mut self.activity {
            activity.see_spikes(&place(), spikes.value());
        }
        if let Some(rates) = &mut self.rates {
            rates.push(spikes.rate()?.mean_all()?);
        }
        Ok(())
    }

    /// Whether activity is noted.
    pub(crate) fn is_watched(&self) -> bool {
        self.activity.is_some()
    }

    /// Where noise comes from, in training.
    pub(crate) fn noise(&mut self) -> Option<&mut Generator> {
        self.random.as_deref_mut().filter(|_| self.training)
    }

    pub(crate) fn drop(&mut self, x: Var) -> Result<Var> {
        let dropout = self.dropout;
        match self.noise() {
            Some(random) if dropout > 0.0 => x.dropout(dropout, random),
            _ => Ok(x),
        }
    }

    /// Notes something else that fires or opens.
    pub(crate) fn see(&mut self, note: impl FnOnce(&mut Activity) -> Result<()>) -> Result<()> {
        match &mut self.activity {
            Some(activity) => note(activity),
            None => Ok(()),
        }
    }
}
