//! The options of this example.

use super::common::{Options, refuse};
use super::dataset::Dataset;
use super::network::Norm;
use super::training::{Loss, Plan};
use spikegrad::Result;
use spikegrad::data::{Csv, Parts, Scale, Series, weather};
use spikegrad::models::{FourierGnnConfig, GateGradient, Mix, Penalty, SpikfGoConfig};

const ABOUT: &str = "\
Trains a network to continue all columns of a series, and compares it with the last value, with a
linear map shared by all columns, and with the same network without spikes. Without --data it reads a
year of hourly weather at the airports of New York, which ships with the crate; --data FILE takes any
csv of numbers, plain or gzip, one row a time; header and date column are recognised.";

const HELP: &str = "  --model NAME     spikf-go (default), spikf-go-cpg, ann (spikf-go without spikes), fourier-gnn
  --twin on|off    whether the twin without spikes is trained, too, on the same plan (default on, where
                   the model spikes)
  --columns N      the first N columns alone
  --header WHAT    on or off: whether the first line of the csv is a header (default: recognised)
  --dates WHAT     on or off: whether its first column is dates (default: recognised)
  --look-back N    values that are seen (default 12; of the weather 24, a day)
  --horizon N      values to forecast (default 12)
  --split PARTS    to train, validate, test: shares (default 7:2:1) or rows (8640,2880,2880)
  --scale WHAT     min-max (default), standard or none, fitted to the rows to train on
  --norm WHAT      what windows are made relative to: last (default, the last value), mean (the
                   published normalisation), or none
  --embed N        channels of a value (default 16)
  --hidden N       width of the head (default 256; spikf-go: a quarter of it, 16 to 128)
  --spike-steps N  spikf-go: simulation steps (default 4)
  --slots N        spikf-go: what the look-back is projected to (default 32)
  --tau X          spikf-go-cpg: time constant of the positional codes (default 1; published 10000)
  --frequency-gate on (default) or off
  --penalty X      on open frequency gates (default 0.2)
  --gate WHAT      spikf-go: constant (default) or straight-through gradient of the spike gates
  --mix WHAT       fourier-gnn: diag (default) or dense
  --loss WHAT      absolute (default) or squared error
  --steps N        training steps (default 600; on the weather 1500; quick 200)
  --epochs N       passes over the windows to train on, instead of --steps
  --batch N        windows of a step (default 16)
  --rate X         the learning rate at its peak (default 0.01); also --lr
  --decay X        weight decay (default 0.01)
  --validate       leave the test alone and judge by the validation, for choosing settings
  --predict        train nothing: continue the series after its end with the model in --out";

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    SpikfGo { positions: bool },
    Ann,
    FourierGnn,
}

/// All options but the common ones.
#[derive(Debug, Clone)]
pub struct Config {
    pub model: (&'static str, Model),
    twin: Option<bool>,
    pub look_back: usize,
    pub horizon: usize,
    pub parts: Parts,
    pub scale: Scale,
    pub norm: (&'static str, Norm),
    pub loss: (&'static str, Loss),
    pub rate: f64,
    pub decay: f64,
    pub validate: bool,
    pub predict: bool,
    pub embed: usize,
    pub hidden: usize,
    pub tau: f32,
    columns: Option<usize>,
    header: Option<bool>,
    dates: Option<bool>,
    spike_steps: usize,
    slots: usize,
    frequency_gate: bool,
    penalty: f32,
    gate: GateGradient,
    mix: Mix,
    steps: Option<u64>,
    epochs: Option<u64>,
    batch: usize,
}

const MODELS: [(&str, Model); 4] = [
    ("spikf-go", Model::SpikfGo { positions: false }),
    ("spikf-go-cpg", Model::SpikfGo { positions: true }),
    ("ann", Model::Ann),
    ("fourier-gnn", Model::FourierGnn),
];
const NORMS: [(&str, Norm); 3] = [("last", Norm::Last), ("mean", Norm::Mean), ("none", Norm::None)];
const LOSSES: [(&str, Loss); 2] = [("absolute", Loss::Absolute), ("squared", Loss::Squared)];
const SCALES: [(&str, Scale); 3] =
    [("min-max", Scale::MinMax), ("standard", Scale::Standard), ("none", Scale::None)];
const GATES: [(&str, GateGradient); 2] =
    [("constant", GateGradient::Constant), ("straight-through", GateGradient::StraightThrough)];
const MIXES: [(&str, Mix); 2] = [("diag", Mix::Diag), ("dense", Mix::Dense)];
const ON_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Parses the command line.
pub fn parse() -> (Options, Config) {
    let (mut config, mut look_back) = (defaults(), None);
    let options = Options::parse("forecast", ABOUT, HELP, |name, value| {
        match name {
            "model" => config.model = value.choice(&MODELS.map(|m| (m.0, m)))?,
            "twin" => config.twin = Some(value.choice(&ON_OFF)?),
            "columns" => config.columns = Some(value.at_least(1)?),
            "header" => config.header = Some(value.choice(&ON_OFF)?),
            "dates" => config.dates = Some(value.choice(&ON_OFF)?),
            "look-back" => look_back = Some(value.at_least(1)?),
            "horizon" => config.horizon = value.at_least(1)?,
            "split" => config.parts = value.parse()?,
            "scale" => config.scale = value.choice(&SCALES)?,
            "norm" => config.norm = value.choice(&NORMS.map(|n| (n.0, n)))?,
            "embed" => config.embed = value.at_least(1)?,
            "hidden" => config.hidden = value.at_least(1)?,
            "spike-steps" => config.spike_steps = value.at_least(1)?,
            "slots" => config.slots = value.at_least(1)?,
            "tau" => config.tau = value.between(1e-3, 1e9)?,
            "frequency-gate" => config.frequency_gate = value.choice(&ON_OFF)?,
            "penalty" => config.penalty = value.between(0.0, 1e3)?,
            "gate" => config.gate = value.choice(&GATES)?,
            "mix" => config.mix = value.choice(&MIXES)?,
            "loss" => config.loss = value.choice(&LOSSES.map(|l| (l.0, l)))?,
            "steps" => config.steps = Some(value.at_least(1)?),
            "epochs" => config.epochs = Some(value.at_least(1)?),
            "batch" => config.batch = value.at_least(1)?,
            "rate" | "lr" => config.rate = value.between(0.0, 1.0)?,
            "decay" => config.decay = value.between(0.0, 10.0)?,
            "validate" => config.validate = true,
            "predict" => config.predict = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    let usual = if options.data.is_some() { config.look_back } else { WEATHER_LOOK_BACK };
    config.look_back = look_back.unwrap_or(usual);
    if config.twin == Some(true) && !config.spikes() {
        let model = config.model.0;
        refuse("forecast", format!("--twin: {model} does not spike, it has no twin"));
    }
    (options, config)
}

/// Look-back and steps of the hourly weather, chosen by its validation.
const WEATHER_LOOK_BACK: usize = 24;
const WEATHER_STEPS: u64 = 1500;

fn defaults() -> Config {
    Config {
        model: MODELS[0],
        twin: None,
        look_back: 12,
        horizon: 12,
        parts: Parts::Shares([7.0, 2.0, 1.0]),
        scale: Scale::MinMax,
        norm: NORMS[0],
        loss: LOSSES[0],
        rate: 0.01,
        decay: 0.01,
        validate: false,
        predict: false,
        embed: 16,
        hidden: 256,
        tau: 1.0,
        columns: None,
        header: None,
        dates: None,
        spike_steps: 4,
        slots: 32,
        frequency_gate: true,
        penalty: 0.2,
        gate: GateGradient::Constant,
        mix: Mix::Diag,
        steps: None,
        epochs: None,
        batch: 16,
    }
}

impl Config {
    fn spikes(&self) -> bool {
        matches!(self.model.1, Model::SpikfGo { .. })
    }

    /// Whether the twin without spikes is trained, too.
    pub fn with_twin(&self) -> bool {
        self.twin.unwrap_or(self.spikes())
    }

    /// The series of `--data`, or the one that ships with the crate.
    pub fn load(&self, options: &Options) -> Result<Series> {
        let csv = self.header.map_or(Csv::new(), |on| Csv::new().header(on));
        let csv = self.dates.map_or(csv, |on| csv.dates(on));
        let series = match &options.data {
            Some(path) => csv.open(path)?,
            None => weather()?,
        };
        Ok(self.columns.map_or_else(|| series.clone(), |columns| series.first_columns(columns)))
    }

    pub fn fourier_gnn(&self, data: &Dataset) -> FourierGnnConfig {
        FourierGnnConfig::new(data.columns())
            .look_back(self.look_back)
            .horizon(self.horizon)
            .embed(self.embed)
            .hidden(self.hidden)
            .mix(self.mix)
            .norm(self.norm.1.own())
    }

    pub fn spikf_go(&self, data: &Dataset, kind: Model) -> SpikfGoConfig {
        let positions = [kind, self.model.1].contains(&Model::SpikfGo { positions: true });
        SpikfGoConfig::new(data.columns())
            .look_back(self.look_back)
            .horizon(self.horizon)
            .steps(self.spike_steps)
            .embed(self.embed)
            .slots(self.slots)
            .hidden(self.hidden)
            .norm(self.norm.1.own())
            .frequency_gate(self.frequency_gate)
            .penalty(Penalty::Exact, self.penalty)
            .gate(self.gate)
            .cpg(positions.then_some(self.tau))
            .spiking(kind != Model::Ann)
    }

    /// How to train on these windows.
    pub fn plan(&self, options: &Options, data: &Dataset) -> Plan {
        let batches = data.windows.shuffled(self.batch, options.seed);
        let epochs = self.epochs.map(|epochs| epochs * batches.count() as u64);
        let usual = match (options.quick, &options.data) {
            (true, _) => 200,
            (false, Some(_)) => 600,
            (false, None) => WEATHER_STEPS,
        };
        let steps = self.steps.or(epochs).unwrap_or(usual);
        let Self { rate, decay, loss: (_, loss), .. } = *self;
        Plan { steps, batches, rate, decay, loss }
    }
}
