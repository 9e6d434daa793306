//! What is learned: data and a model.

use spikegrad::nn::Pass;
use spikegrad::{Device, Param, Result, Tensor, Var};

/// Data and a kind of model.
pub trait Problem {
    /// How options and results call it.
    fn name(&self) -> &'static str;

    /// A line about data and model.
    fn describe(&self) -> String;

    /// The steps of a run by default.
    fn steps(&self) -> u64;

    /// Where it computes.
    fn device(&self) -> &Device;

    /// A model with weights from `seed`, and the batches that it is to see.
    fn start(&self, seed: u64) -> Result<Box<dyn Learner + '_>>;
}

/// A model and its batches.
pub trait Learner {
    fn params(&self) -> Vec<Param>;

    /// The batch of a step, counted from 0.
    fn batch(&mut self, step: u64) -> Result<[Tensor; 2]>;

    /// What training minimises on a batch: launches only.
    fn loss(&self, batch: [&Tensor; 2], pass: &mut Pass<'_>) -> Result<Var>;

    /// The score on data that is not trained on; on a part of it unless `all`.
    fn validate(&self, all: bool) -> Result<Score>;
}

/// How good a model is.
#[derive(Debug, Clone, Copy)]
pub struct Score {
    /// The mean cross-entropy in nats.
    pub loss: f64,
    /// The part that is classified rightly, where that is counted.
    pub accuracy: Option<f64>,
}
