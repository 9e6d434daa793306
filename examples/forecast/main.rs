//! Trains a spiking Fourier graph network to continue the columns of any csv file, beside what is
//! simpler: the last value, a linear map, and the same network without spikes.
//!
//! `cargo run --release --example forecast -- --help`

#[path = "../common/mod.rs"]
mod common;
mod dataset;
mod linear;
mod network;
mod options;
mod pictures;
mod predict;
mod report;
mod scores;
mod training;

use common::{Options, Progress, Report};
use dataset::Dataset;
use network::Network;
use options::{Config, Model};
use scores::{Forecasts, Score};
use spikegrad::Result;
use spikegrad::models::{Forecaster, FourierGnn, SpikfGo};
use spikegrad::random::Generator;
use std::path::Path;
use std::time::Instant;
use training::{Plan, Seen, Training};

fn main() {
    let (options, config) = options::parse();
    common::run("forecast", &options, || {
        let file = options.out.join("forecast.safetensors");
        if config.predict {
            return predict::run(&options, &config, common::trained(&file, "--predict")?);
        }
        learn(&options, &config, &file)
    });
}

/// Trains, tests and reports.
fn learn(options: &Options, config: &Config, file: &Path) -> Result<()> {
    let data = Dataset::new(config.load(options)?, config)?;
    println!("{data}");
    let mut report = Report::new("forecast");
    let plan = config.plan(options, &data);
    let ridge = linear::Ridge::fit(&data.windows);
    let baselines = [("persistence", linear::persistence(&data)), ("ridge", ridge.forecast(&data))];
    let baselines = baselines.map(|(name, forecasts)| Run::of(name, forecasts, &data));

    let run = Runner { options, config, data: &data, plan: &plan };
    let outcome = match config.model.1 {
        Model::FourierGnn => run.fourier_gnn(file)?,
        Model::SpikfGo { .. } | Model::Ann => run.spikf_go(config.model.1, Some(file))?,
    };
    let mut runs = vec![outcome];
    if config.with_twin() {
        runs.push(run.spikf_go(Model::Ann, None)?);
    }
    runs.extend(baselines);
    report::config(&mut report, config, &plan, &data, &runs);
    report::results(&mut report, &data, &runs);
    pictures::save(&options.out.join("forecast.png"), &data, &runs)?;
    report.finish(options)
}

/// What came of one forecaster.
pub struct Run {
    pub name: &'static str,
    pub forecasts: Forecasts,
    /// On the scale that was trained on, and on the columns' own.
    pub scaled: Score,
    pub own: Score,
    pub trained: Option<Trained>,
}

/// What only a trained network has.
pub struct Trained {
    pub parameters: usize,
    pub seconds: f64,
    /// Launches of a training step.
    pub launches: usize,
    /// Steps and losses, and steps and errors on the validation.
    pub losses: Vec<(u64, f64)>,
    pub validation: Vec<(u64, f64)>,
    pub seen: Seen,
}

impl Run {
    fn of(name: &'static str, forecasts: Forecasts, data: &Dataset) -> Self {
        let truth = data.truth();
        let scaled = Score::of(&forecasts.values, &truth);
        let own = Score::of(&data.undo(forecasts.values.clone()), &data.undo(truth));
        Self { name, forecasts, scaled, own, trained: None }
    }
}

struct Runner<'a> {
    options: &'a Options,
    config: &'a Config,
    data: &'a Dataset,
    plan: &'a Plan,
}

/// How often the loss is shown in a run, and how often the validation is forecast.
const NEWS: u64 = 20;
const VALIDATIONS: u64 = 10;

impl Runner<'_> {
    fn fourier_gnn(&self, file: &Path) -> Result<Run> {
        let mut random = Generator::new(&self.options.device, self.options.seed)?;
        let config = self.config.fourier_gnn(self.data);
        let model = FourierGnn::new(&config, &mut random)?;
        self.learn("FourierGNN", model, random, Some(file))
    }

    fn spikf_go(&self, kind: Model, file: Option<&Path>) -> Result<Run> {
        let mut random = Generator::new(&self.options.device, self.options.seed)?;
        let config = self.config.spikf_go(self.data, kind);
        let model = SpikfGo::new(&config, &mut random)?;
        let name = match kind {
            Model::SpikfGo { positions: true } => "SpikF-GO with CPG",
            Model::SpikfGo { .. } => "SpikF-GO",
            _ => "the twin without spikes",
        };
        self.learn(name, model, random, file)
    }

    fn learn<M: Forecaster>(
        &self,
        name: &'static str,
        model: M,
        random: Generator,
        file: Option<&Path>,
    ) -> Result<Run> {
        let parameters = model.params().iter().map(|p| p.value().count()).sum();
        println!("{name}: {parameters} parameters");
        let start = Instant::now();
        let network = Network { model, norm: self.config.norm.1 };
        let mut training = Training::new(network, self.plan, self.data, random)?;
        self.train(&mut training)?;
        let seconds = start.elapsed().as_secs_f64();
        if let Some(file) = file {
            training.save(file)?;
        }
        let forecasts = training.forecasts(self.data.judged)?;
        let seen = training.activity()?;
        let trained = Trained {
            parameters,
            seconds,
            launches: training.launches(),
            losses: training.losses,
            validation: training.validation,
            seen,
        };
        Ok(Run { trained: Some(trained), ..Run::of(name, forecasts, self.data) })
    }

    /// Trains to the end of the plan; what the validation liked best is kept.
    fn train<M: Forecaster>(&self, training: &mut Training<'_, M>) -> Result<()> {
        let steps = self.plan.steps;
        let (progress, start) = (Progress::new(steps), Instant::now());
        let every = |parts: u64| (steps / parts).max(1);
        for step in 1..=steps {
            let last = step == steps;
            let loss = training.run_step(last || step.is_multiple_of(every(NEWS)))?;
            progress.step();
            let error = match last || step.is_multiple_of(every(VALIDATIONS)) {
                true => training.validate()?,
                false => None,
            };
            if let Some(loss) = loss {
                let error = error.map_or(String::new(), |e| format!(", validation MAE {e:.4}"));
                let seconds = start.elapsed().as_secs_f64();
                progress
                    .news(format!("step {step}/{steps}: loss {loss:.5}{error}, {seconds:.0} s"));
            }
        }
        training.restore_best()
    }
}
