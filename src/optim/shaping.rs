//! Functions of singular values between gradient and direction, and between direction and step.

use super::low_rank::{LowRank, LowRankOptions};
use super::neurons::Neurons;
use crate::elementwise::Step;
use crate::error::{Error, Result};
use crate::spectral::{Polar, SpectralClip};
use crate::{DType, Device, Tensor};

/// What becomes of a direction before the step.
#[derive(Debug, Clone)]
pub(super) enum Shaping {
    /// Its singular values are softly clipped.
    Clip(SpectralClip),
    /// Its polar factor takes its place.
    Polar(Polar),
}

/// What a shaped direction is multiplied with, by the shape of its matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Gain {
    /// `sqrt(max(1, rows / columns))`, 1 for vectors
    #[default]
    Rectangle,
    /// `0.2 sqrt(max(rows, columns))`: the root mean square that Adam's updates have
    Moonlight,
    /// `sqrt(rows / columns)`, 1 for vectors
    Ratio,
}

/// Everything about shapes of directions in a recipe.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes {
    pub(super) before: Option<SpectralClip>,
    pub(super) after: Option<Shaping>,
    pub(super) gain: Gain,
    /// The steps in which the radius makes up for a small rate; those of the schedule if not given.
    pub(super) warmup: Option<u64>,
    /// The decay rate of the second moments of neurons.
    pub(super) neurons: Option<f64>,
    /// A low-rank factor takes the direction's place.
    pub(super) low_rank: Option<LowRankOptions>,
    pub(super) outputs_last: bool,
}

impl Shaping {
    /// The outcome for each of several directions of one shape.
    pub(super) fn run(&self, directions: &[&Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Shaping::Clip(clip) => clip.run_all(directions).map(|(shaped, _)| shaped),
            Shaping::Polar(polar) => polar.run_all(directions).map(|(shaped, _)| shaped),
        }
    }
}

impl Shaping {
    /// Steps along the outcome for matrices `[count, rows, cols]`.
    pub(super) fn step(&self, directions: &Tensor, steps: &[Step<'_>]) -> Result<()> {
        match self {
            Shaping::Clip(clip) => clip.step_all(directions, steps),
            Shaping::Polar(polar) => polar.step_all(directions, steps),
        }
    }
}

impl Shapes {
    /// Finds bad radii and counts of steps before training does: by trial, on a zero.
    pub(super) fn check(&self, op: &'static str, device: &Device) -> Result<()> {
        if self.low_rank.is_some() && self.after.is_some() {
            let detail =
                "a low-rank direction cannot be clipped: it would no longer be the momentum's";
            return Err(Error::argument(op, detail));
        }
        let zero = Tensor::zeros(device, [1], DType::F32)?;
        if let Some(clip) = &self.before {
            let _ = clip.run(&zero)?;
        }
        self.after.as_ref().map_or(Ok(()), |shaping| shaping.run(&[&zero]).map(drop))
    }

    /// Whether anything stands between direction and step.
    pub(super) fn any_after(&self) -> bool {
        self.after.is_some() || self.low_rank.is_some()
    }

    /// What the shaped direction of a parameter is multiplied with.
    pub(super) fn gain_of(&self, value: &Tensor) -> f64 {
        if !self.any_after() {
            return 1.0;
        }
        let (rows, columns) = match value.shape().dims() {
            [] => (1, 1),
            [count] => (1, *count),
            [first, rest @ ..] => (*first, rest.iter().product()),
        };
        let (rows, columns) = if self.outputs_last { (columns, rows) } else { (rows, columns) };
        match self.gain {
            Gain::Moonlight => 0.2 * (rows.max(columns) as f64).sqrt(),
            _ if value.shape().rank() < 2 => 1.0,
            Gain::Ratio => (rows as f64 / (columns as f64).max(1.0)).sqrt(),
            Gain::Rectangle => (rows as f64 / (columns as f64).max(1.0)).max(1.0).sqrt(),
        }
    }

    /// How many times its own radius a clip has at a step: so many that, while the rate warms up to
    /// `peak`, radius times rate stays the same.
    pub(super) fn radius_ratio(&self, warmup: u64, (step, rate): (u64, f64), peak: f64) -> f64 {
        let clips = matches!(self.after, Some(Shaping::Clip(_)));
        if clips && step <= self.warmup.unwrap_or(warmup) && peak > 0.0 {
            return peak / rate.max(1e-10);
        }
        1.0
    }

    /// The second moments of a matrix' neurons, where they are kept.
    pub(super) fn neurons_of(&self, value: &Tensor) -> Result<Option<Neurons>> {
        match self.neurons {
            Some(beta) if value.shape().rank() > 1 => {
                Neurons::new(beta, &matrix(value)?, self.outputs_last).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Shapes {
    /// The low-rank factor of the parameter numbered `index`, where one is kept.
    pub(super) fn low_rank_of(&self, value: &Tensor, index: usize) -> Result<Option<LowRank>> {
        let options = self.low_rank.filter(|_| value.count() > 0);
        let new = |options| LowRank::new(options, &matrix(value)?, index);
        options.map(new).transpose()
    }
}

/// The same memory as a matrix: the axes after the first are one. Vectors stay what they are.
pub(super) fn matrix(tensor: &Tensor) -> Result<Tensor> {
    match tensor.shape().dims() {
        [] => tensor.reshape([1]),
        [_] | [_, _] => Ok(tensor.clone()),
        [first, rest @ ..] => tensor.reshape([*first, rest.iter().product::<usize>()]),
    }
}
