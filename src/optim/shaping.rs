//! Functions of singular values between gradient and direction, and between direction and step.

use super::low_rank::{LowRank, LowRankOptions};
use super::neurons::Neurons;
use crate::elementwise::FusedUpdate;
use crate::error::{Error, Result};
use crate::spectral::{Polar, SpectralClip};
use crate::{DType, Device, Orientation, Param, Tensor};

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
    /// `sqrt(max(1, outputs / inputs))`, 1 for vectors
    #[default]
    Rectangle,
    /// `0.2 sqrt(max(outputs, inputs))`: the root mean square that Adam's updates have
    Moonlight,
    /// `sqrt(outputs / inputs)`, 1 for vectors
    Ratio,
}

/// Everything about shapes of directions in a builder.
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
    pub(super) fn step(&self, directions: &Tensor, steps: &[FusedUpdate<'_>]) -> Result<()> {
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
    pub(super) fn gain_of(&self, param: &Param) -> f64 {
        if !self.any_after() {
            return 1.0;
        }
        let [outputs, inputs] =
            match (sides(param.value(), param.orientation()), param.orientation()) {
                ([rows, columns], Orientation::OutputsFirst) => [rows, columns],
                ([rows, columns], Orientation::OutputsLast) => [columns, rows],
            };
        let ratio = outputs as f64 / (inputs as f64).max(1.0);
        match self.gain {
            Gain::Moonlight => 0.2 * (outputs.max(inputs) as f64).sqrt(),
            _ if param.value().shape().rank() < 2 => 1.0,
            Gain::Ratio => ratio.sqrt(),
            Gain::Rectangle => ratio.max(1.0).sqrt(),
        }
    }

    /// How many times its own radius a clip has at a step: so many that, while the rate warms up to
    /// `peak`, radius times rate stays the same.
    pub(super) fn radius_ratio(&self, warmup: u64, (step, rate): (u64, f64), peak: f64) -> f64 {
        let clips = matches!(self.after, Some(Shaping::Clip(_)));
        if clips && step <= self.warmup.unwrap_or(warmup) && peak > 0.0 {
            // Within f32, as its inverse is.
            return (peak / rate.max(1e-10)).min(1e30);
        }
        1.0
    }

    /// The second moments of a matrix' neurons, where they are kept.
    pub(super) fn neurons_of(&self, param: &Param) -> Result<Option<Neurons>> {
        match self.neurons {
            Some(beta) if param.value().shape().rank() > 1 => {
                let columns = param.orientation() == Orientation::OutputsLast;
                Neurons::new(beta, &matrix(param.value(), param.orientation())?, columns).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Shapes {
    /// The low-rank factor of the parameter numbered `index`, where one is kept.
    pub(super) fn low_rank_of(&self, param: &Param, index: usize) -> Result<Option<LowRank>> {
        let options = self.low_rank.filter(|_| param.value().count() > 0);
        let new =
            |options| LowRank::new(options, &matrix(param.value(), param.orientation())?, index);
        options.map(new).transpose()
    }
}

/// Rows and columns of a tensor as a matrix: all axes but that of the outputs are one. A vector is one
/// row.
fn sides(tensor: &Tensor, orientation: Orientation) -> [usize; 2] {
    match (tensor.shape().dims(), orientation) {
        ([] | [_], _) => [1, tensor.count()],
        ([first, rest @ ..], Orientation::OutputsFirst) => [*first, rest.iter().product()],
        ([rest @ .., last], Orientation::OutputsLast) => [rest.iter().product(), *last],
    }
}

/// The same memory as a matrix. Vectors stay what they are.
pub(super) fn matrix(tensor: &Tensor, orientation: Orientation) -> Result<Tensor> {
    match tensor.shape().rank() {
        0 => tensor.reshape([1]),
        1 | 2 => Ok(tensor.clone()),
        _ => tensor.reshape(sides(tensor, orientation)),
    }
}
