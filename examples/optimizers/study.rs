//! One arm: the best of its rates, then several seeds.

use super::arms::{Arm, Setting};
use super::problem::Problem;
use super::trial::{self, Outcome};
use spikegrad::{Error, Result};

/// What runs an arm gets.
#[derive(Debug, Clone)]
pub struct Plan {
    pub steps: u64,
    /// What an arm's middle rate is multiplied by, from below.
    pub factors: &'static [f64],
    pub seeds: Vec<u64>,
    /// Which of the arm's middle rates.
    pub task: usize,
}

impl Plan {
    /// The runs of an arm.
    pub fn runs(&self) -> usize {
        self.factors.len() * self.seeds.len()
    }
}

/// Where the best rate stands among those that were tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Lowest,
    Between,
    Highest,
}

/// An arm's runs with the rate that has the least mean loss.
#[derive(Debug, Clone)]
pub struct Study {
    pub arm: &'static Arm,
    pub rate: f64,
    pub place: Place,
    pub outcomes: Vec<Outcome>,
}

impl Study {
    /// Every rate with every seed.
    pub fn run(
        problem: &dyn Problem,
        arm: &'static Arm,
        plan: &Plan,
        each: impl Fn(),
    ) -> Result<Self> {
        let mut best: Option<Self> = None;
        for (i, factor) in plan.factors.iter().enumerate() {
            let rate = factor * arm.rates[plan.task];
            let setting = Setting { rate, steps: plan.steps };
            let mut outcomes = Vec::new();
            for seed in &plan.seeds {
                outcomes.push(trial::run(problem, arm, &setting, *seed)?);
                each();
            }
            let place = match i {
                _ if plan.factors.len() < 2 => Place::Between,
                0 => Place::Lowest,
                i if i + 1 == plan.factors.len() => Place::Highest,
                _ => Place::Between,
            };
            let study = Self { arm, rate, place, outcomes };
            let better = |best: &Self| study.loss().mean < best.loss().mean;
            if best.as_ref().is_none_or(better) {
                best = Some(study);
            }
        }
        best.ok_or_else(|| Error::argument("study", "no rates"))
    }

    /// A line of news.
    pub fn line(&self) -> String {
        format!("{}: {} nats at rate {}", self.arm.label, self.loss_text(), self.rate)
    }

    /// Whether there are several seeds, without which there is no spread.
    pub fn has_spread(&self) -> bool {
        self.outcomes.len() > 1
    }

    /// The validation loss, with what is known of its spread.
    pub fn loss_text(&self) -> String {
        let Sample { mean, spread } = self.loss();
        match self.has_spread() {
            true => format!("{mean:.4} ± {spread:.4}"),
            false => format!("{mean:.4} (one seed)"),
        }
    }

    /// Validation losses in nats.
    pub fn loss(&self) -> Sample {
        self.sample(|outcome| outcome.loss)
    }

    /// Something of every seed's run.
    pub fn sample(&self, of: impl Fn(&Outcome) -> f64) -> Sample {
        Sample::of(&self.outcomes.iter().map(of).collect::<Vec<_>>())
    }

    /// The largest spectral norm of a weight, mean of the seeds.
    pub fn largest_norm(&self) -> f64 {
        self.sample(|outcome| outcome.norms.iter().copied().fold(0.0, f64::max)).mean
    }

    /// The mean spectral norm of the weights, mean of the seeds.
    pub fn mean_norm(&self) -> f64 {
        self.sample(|outcome| Sample::of(&outcome.norms).mean).mean
    }

    /// Milliseconds of a step, in the fastest run.
    pub fn ms(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.ms).fold(f64::INFINITY, f64::min)
    }

    /// The curve, mean of the seeds.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let Some(first) = self.outcomes.first() else { return Vec::new() };
        let point = |i: usize| self.sample(|o| o.curve.get(i).map_or(f64::NAN, |p| p.1)).mean;
        first.curve.iter().enumerate().map(|(i, (step, _))| (*step, point(i))).collect()
    }
}

/// Mean and standard deviation of a few numbers.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub mean: f64,
    /// With one less than their number in the denominator; 0 for a single one.
    pub spread: f64,
}

impl Sample {
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, spread: (squares / (count - 1.0).max(1.0)).sqrt() }
    }
}
