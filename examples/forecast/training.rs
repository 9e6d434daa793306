//! Training, and forecasts of whole parts.

use super::dataset::Dataset;
use super::network::Network;
use super::scores::Forecasts;
use spikegrad::data::{Batches, Part};
use spikegrad::loss::mse;
use spikegrad::models::{Activity, Energy, Forecaster, Pass};
use spikegrad::optim::{AdamW, Optimizer, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::{StepLoss, TrainStep};
use spikegrad::{Result, Tensor, Var};
use std::path::Path;

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub steps: u64,
    pub batches: Batches,
    pub rate: f64,
    pub decay: f64,
    pub loss: Loss,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Squared,
    Absolute,
}

/// What happens in forecasts.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The part of elements that spike, and of gates that are not 0, by place.
    pub spikes: Vec<(String, f64)>,
    pub gates: Vec<(String, f64)>,
    /// Bytes that the forecast of one window moves here.
    pub bytes: f64,
    /// What it might cost on other hardware.
    pub energy: Energy,
}

/// The most windows that the validation forecasts while training goes on.
const VALIDATION: usize = 256;

/// A network in training.
pub struct Training<'a, M: Forecaster> {
    /// Steps and losses, as far as they were read.
    pub losses: Vec<(u64, f64)>,
    /// Steps and mean absolute errors on the validation.
    pub validation: Vec<(u64, f64)>,
    network: Network<M>,
    plan: &'a Plan,
    data: &'a Dataset,
    step: TrainStep<AdamW>,
    /// The order of the epoch at hand.
    epoch: Vec<Vec<usize>>,
    /// The weights that the validation liked best, and its error.
    best: Option<(f64, Vec<Tensor>)>,
}

impl<'a, M: Forecaster> Training<'a, M> {
    /// A run at its start. `random` has drawn the weights.
    pub fn new(
        network: Network<M>,
        plan: &'a Plan,
        data: &'a Dataset,
        random: Generator,
    ) -> Result<Self> {
        let schedule = Schedule::cosine(plan.rate, plan.steps).warmup(plan.steps / 20);
        let optimizer = AdamW::builder().schedule(schedule.floor(plan.rate / 20.0));
        let optimizer = optimizer.betas(0.9, 0.99).clip_norm(1.0).weight_decay(plan.decay);
        let optimizer = optimizer.build(&network.model.params())?;
        Ok(Self {
            losses: Vec::new(),
            validation: Vec::new(),
            network,
            plan,
            data,
            step: TrainStep::new(optimizer, random)?,
            epoch: Vec::new(),
            best: None,
        })
    }

    /// One step; its loss, if it is to be read.
    pub fn run_step(&mut self, read: bool) -> Result<Option<f64>> {
        let count = self.plan.batches.count() as u64;
        let step = self.step.optimizer().steps();
        if step.is_multiple_of(count) {
            self.epoch = self.plan.batches.epoch(step / count);
        }
        let places = &self.epoch[(step % count) as usize];
        let (window, target) = self.data.windows.batch(Part::Train, places)?;
        let [window, target] = [window, target].map(|values| self.upload(&values, places.len()));
        self.step.run([&window?, &target?], |pass, [window, target]| {
            let forecast = self.network.forecast(window, pass)?;
            let fit = self.plan.loss.of(&forecast, &pass.constant(target))?;
            let total = match self.network.model.penalty(&fit)? {
                Some(penalty) => fit.add(&penalty)?,
                None => fit.clone(),
            };
            Ok(StepLoss::new(total).with("fit", fit.value()))
        })?;
        if !read {
            return Ok(None);
        }
        let Some(numbers) = self.step.finish()? else { return Ok(None) };
        let loss = f64::from(numbers.get("fit")?);
        self.losses.push((step + 1, loss));
        Ok(Some(loss))
    }

    /// Launches of a step.
    pub fn launches(&self) -> usize {
        self.step.launches()
    }

    /// The mean absolute error on the validation, if there is one; the best weights are kept.
    pub fn validate(&mut self) -> Result<Option<f64>> {
        let count = self.data.windows.starts(Part::Validation).len();
        if count == 0 {
            return Ok(None);
        }
        let places: Vec<usize> = (0..count).step_by(count.div_ceil(VALIDATION)).collect();
        let (mut sum, mut values) = (0.0, 0);
        for places in places.chunks(self.plan.batches.size()) {
            let (forecast, target) = self.forecast(Part::Validation, places)?;
            let errors = forecast.iter().zip(&target).map(|(x, y)| f64::from((x - y).abs()));
            sum += errors.sum::<f64>();
            values += target.len();
        }
        let error = sum / values.max(1) as f64;
        self.validation.push((self.step.optimizer().steps(), error));
        if self.best.as_ref().is_none_or(|(least, _)| error < *least) {
            let kept = self
                .network
                .model
                .saved()
                .iter()
                .map(|p| p.value().duplicate())
                .collect::<Result<_>>()?;
            self.best = Some((error, kept));
        }
        Ok(Some(error))
    }

    /// Goes back to the weights that the validation liked best.
    pub fn restore_best(&mut self) -> Result<()> {
        let Some((_, kept)) = self.best.take() else { return Ok(()) };
        self.network
            .model
            .saved()
            .iter()
            .zip(&kept)
            .try_for_each(|(p, kept)| p.value().copy_from(kept))
    }

    /// Forecasts of all windows of a part.
    pub fn forecasts(&self, part: Part) -> Result<Forecasts> {
        let places: Vec<usize> = (0..self.data.windows.starts(part).len()).collect();
        let (horizon, columns) = (self.data.windows.horizon(), self.data.columns());
        let mut values = vec![0.0; places.len() * horizon * columns];
        for places in places.chunks(self.plan.batches.size()) {
            let (forecast, _) = self.forecast(part, places)?;
            // [H, B, N] to [B, H, N]
            for (row, forecast) in forecast.chunks_exact(columns).enumerate() {
                let (lead, window) = (row / places.len(), places[row % places.len()]);
                values[(window * horizon + lead) * columns..][..columns].copy_from_slice(forecast);
            }
        }
        Ok(Forecasts { values, horizon, columns })
    }

    /// Forecast and target of these windows, time-major.
    fn forecast(&self, part: Part, places: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
        let (window, target) = self.data.windows.batch(part, places)?;
        let window = self.upload(&window, places.len())?;
        let forecast = self.network.forecast(&window, &mut Pass::evaluation())?;
        Ok((forecast.value().to_vec()?, target))
    }

    /// Values of windows or targets, time-major.
    fn upload(&self, values: &[f32], batch: usize) -> Result<Tensor> {
        let columns = self.data.columns();
        let shape = [values.len() / (batch * columns), batch, columns];
        Tensor::from_slice(self.network.model.device(), values, shape)
    }

    /// What happens in a forecast of the first windows that are judged.
    pub fn activity(&self) -> Result<Seen> {
        let count = self.data.windows.starts(self.data.judged).len();
        let places: Vec<usize> = (0..count.min(self.plan.batches.size())).collect();
        let (window, _) = self.data.windows.batch(self.data.judged, &places)?;
        let window = self.upload(&window, places.len())?;
        let mut activity = Activity::new();
        let (_, profile) = self.network.model.device().profile(|| {
            let pass = &mut Pass::evaluation().activity(&mut activity);
            self.network.forecast(&window, pass)
        })?;
        let bytes: f64 = profile.rows().iter().map(|row| row.bytes).sum();
        let owned = |found: Vec<(&str, f64)>| {
            found.into_iter().map(|(place, value)| (place.to_string(), value)).collect()
        };
        let (spikes, gates) = (owned(activity.elements()?), owned(activity.densities()?));
        let energy = self.network.model.energy(&activity)?;
        Ok(Seen { spikes, gates, bytes: bytes / places.len() as f64, energy })
    }

    /// Saves the model with all that is needed to forecast with it.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = self.network.model.checkpoint();
        super::predict::notes(file, self.data, self.network.norm).save(path)
    }
}

impl Loss {
    fn of(self, forecast: &Var, target: &Var) -> Result<Var> {
        match self {
            Loss::Squared => mse(forecast, target),
            Loss::Absolute => forecast.sub(target)?.abs()?.mean_all(),
        }
    }
}
