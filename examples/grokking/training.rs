//! Training on all pairs at once, and what becomes of the losses.

use crate::data::Pairs;
use crate::network::Network;
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy, stable_max};
use spikegrad::nn::{Module, Pass};
use spikegrad::optim::{AdamW, Optimizer};
use spikegrad::random::Generator;
use spikegrad::train::TrainStep;
use spikegrad::{Result, Tensor, Var};

/// How a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arm {
    /// How options and results call it.
    pub name: &'static str,
    pub label: &'static str,
    /// Whether gradients are made orthogonal to their parameters.
    pub orthogonal: bool,
    /// Whether StableMax takes the place of softmax.
    pub stable: bool,
}

pub const ARMS: [Arm; 4] = [
    Arm { name: "plain", label: "AdamW", orthogonal: false, stable: false },
    Arm {
        name: "orthogonal",
        label: "AdamW, orthogonal gradients",
        orthogonal: true,
        stable: false,
    },
    Arm { name: "stablemax", label: "AdamW, StableMax", orthogonal: false, stable: true },
    Arm { name: "stablemax-orthogonal", label: "both", orthogonal: true, stable: true },
];

impl Arm {
    fn loss(&self, logits: &Var, targets: &Tensor) -> Result<Var> {
        let options = CrossEntropy::default();
        if self.stable {
            return stable_max(logits, targets, options);
        }
        cross_entropy(logits, targets, options)
    }
}

/// A point of the learning curves.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub epoch: u64,
    pub train: f64,
    pub test: f64,
    /// The part of the training pairs whose loss is exactly 0 in f32.
    pub zero: f64,
}

/// A network in training.
pub struct Training<'a> {
    arm: Arm,
    network: Network,
    step: TrainStep<AdamW>,
    train: &'a Pairs,
}

impl<'a> Training<'a> {
    pub fn new(
        arm: Arm,
        network: Network,
        rate: f64,
        train: &'a Pairs,
        random: Generator,
    ) -> Result<Self> {
        let recipe = AdamW::builder().learning_rate(rate).betas(0.9, 0.99).weight_decay(0.0);
        let optimizer = recipe.orthogonal(arm.orthogonal).build(&network.params())?;
        Ok(Self { arm, network, step: TrainStep::new(optimizer, random)?, train })
    }

    /// One epoch, which is one step.
    pub fn run_epoch(&mut self) -> Result<()> {
        self.step.run([], |pass, []| {
            let logits = self.network.forward(&self.train.tokens, pass)?;
            self.arm.loss(&logits, &self.train.sums)
        })?;
        Ok(())
    }

    /// Accuracies, and the losses that are exactly 0.
    pub fn measure(&self, test: &Pairs) -> Result<Point> {
        let logits = self.logits(self.train)?;
        let values = logits.to_vec::<f32>()?;
        let classes = values.len() / self.train.count.max(1);
        let rows = values.chunks_exact(classes.max(1)).zip(&self.train.targets);
        let loss = if self.arm.stable { stable_max_loss } else { softmax_loss };
        let zero = rows.filter(|(row, target)| loss(row, **target as usize) == 0.0).count();
        Ok(Point {
            epoch: self.step.optimizer().steps(),
            train: part(&logits, self.train)?,
            test: part(&self.logits(test)?, test)?,
            zero: zero as f64 / self.train.count.max(1) as f64,
        })
    }

    fn logits(&self, pairs: &Pairs) -> Result<Tensor> {
        Ok(self.network.forward(&pairs.tokens, &mut Pass::evaluation())?.value().clone())
    }
}

/// The part of pairs whose sum is found.
fn part(logits: &Tensor, pairs: &Pairs) -> Result<f64> {
    let hits = f64::from(accuracy(logits, &pairs.sums)?.item()?);
    Ok(hits / pairs.count.max(1) as f64)
}

/// The cross-entropy of softmax in f32, as it is usually computed: the largest logit is subtracted,
/// and the logarithm of the sum of exponentials is 0 once all others vanish next to 1.
fn softmax_loss(row: &[f32], target: usize) -> f32 {
    let largest = row.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = row.iter().map(|x| (x - largest).exp()).sum();
    sum.ln() - (row[target] - largest)
}

/// The cross-entropy of StableMax in f32.
fn stable_max_loss(row: &[f32], target: usize) -> f32 {
    let score = |x: f32| if x >= 0.0 { x + 1.0 } else { 1.0 / (1.0 - x) };
    let sum: f32 = row.iter().copied().map(score).sum();
    -(score(row[target]) / sum).ln()
}
