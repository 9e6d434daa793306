//! Learns sums modulo 113 from 40 % of all pairs: plain AdamW knows those by heart and nothing more;
//! with gradients orthogonal to their parameters it finds the rule (Prieto et al. 2025, "Grokking at
//! the edge of numerical stability").
//!
//! `cargo run --release --example grokking -- --help`

#[path = "../common/mod.rs"]
mod common;
mod data;
mod network;
mod training;

use common::{Options, Progress, Report};
use network::{Network, Neuron};
use spikegrad::Result;
use spikegrad::plot::{self, Curves};
use spikegrad::random::Generator;
use training::{ARMS, Arm, Point, Training};

const ABOUT: &str = "\
Trains a network on sums modulo a prime, on a part of all pairs at once and without weight decay, and
tests it with the others: with AdamW, with gradients made orthogonal to their parameters, and with
StableMax instead of softmax. Reports when the test is passed, and how many training pairs have a loss
of exactly 0 in f32 arithmetic. The data is computed: there is no --data.";

const HELP: &str = "  --arm NAME       plain, orthogonal, stablemax or stablemax-orthogonal (default: the first three)
  --epochs N       passes over the training pairs, one step each (default 500, quick 150)
  --modulus N      the prime (default 113, quick 59)
  --part X         part of the pairs to train on (default 0.4)
  --hidden N       neurons of each hidden layer (default 200)
  --neuron WHAT    relu (default), or lif: spiking neurons in the second hidden layer
  --steps N        time steps of spiking neurons (default 8)
  --rate X         learning rate (default 0.01)
  --seeds N        runs of each arm (default 1)";

/// The test accuracy that counts as grokked.
const GROKKED: f64 = 0.99;

#[derive(Debug, Clone)]
struct Config {
    arms: Vec<Arm>,
    epochs: Option<u64>,
    modulus: Option<usize>,
    part: f64,
    hidden: usize,
    neuron: (&'static str, Neuron),
    steps: usize,
    rate: f64,
    seeds: u64,
}

const NEURONS: [(&str, Neuron); 2] = [("relu", Neuron::Relu), ("lif", Neuron::Lif)];

/// The runs of an arm, one a seed.
struct Study {
    arm: Arm,
    runs: Vec<Vec<Point>>,
}

fn main() {
    let mut config = Config {
        arms: ARMS[..3].to_vec(),
        epochs: None,
        modulus: None,
        part: 0.4,
        hidden: 200,
        neuron: NEURONS[0],
        steps: 8,
        rate: 0.01,
        seeds: 1,
    };
    let options = Options::parse("grokking", ABOUT, HELP, |name, value| {
        match name {
            "arm" => config.arms = vec![value.choice(&ARMS.map(|arm| (arm.name, arm)))?],
            "epochs" => config.epochs = Some(value.at_least(1)?),
            "modulus" => config.modulus = Some(value.check(", a prime from 2 to 997", is_prime)?),
            "part" => config.part = value.between(0.01, 0.99)?,
            "hidden" => config.hidden = value.at_least(1)?,
            "neuron" => config.neuron = value.choice(&NEURONS.map(|n| (n.0, n)))?,
            "steps" => config.steps = value.between(1, 1000)?,
            "rate" => config.rate = value.between(0.0, 10.0)?,
            "seeds" => config.seeds = value.between(1, 100)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if options.data.is_some() {
        common::refuse("grokking", "--data: this example computes its data");
    }
    common::run("grokking", &options, || compare(&options, &config));
}

/// Whether a modulus is a prime, and not too large for a table of all pairs.
fn is_prime(modulus: &usize) -> bool {
    (2..1000).contains(modulus) && (2..*modulus).all(|divisor| !modulus.is_multiple_of(divisor))
}

impl Config {
    fn epochs(&self, options: &Options) -> u64 {
        self.epochs.unwrap_or(if options.quick { 150 } else { 500 })
    }

    fn modulus(&self, options: &Options) -> usize {
        self.modulus.unwrap_or(if options.quick { 59 } else { 113 })
    }
}

fn compare(options: &Options, config: &Config) -> Result<()> {
    let mut report = Report::new("grokking");
    let (epochs, modulus) = (config.epochs(options), config.modulus(options));
    describe(&mut report, config, epochs, modulus);
    let progress = Progress::new(epochs * config.seeds * config.arms.len() as u64);
    let mut studies = Vec::new();
    for arm in &config.arms {
        let run = |seed| train(options, config, *arm, options.seed.wrapping_add(seed), &progress);
        let runs = (0..config.seeds).map(run).collect::<Result<_>>()?;
        studies.push(Study { arm: *arm, runs });
    }
    drop(progress);
    for study in &studies {
        results(&mut report, study);
    }
    picture(options, config, &studies)?;
    report.finish(options)
}

fn describe(report: &mut Report, config: &Config, epochs: u64, modulus: usize) {
    report.config("epochs", epochs);
    report.config("modulus", modulus);
    report.config("part", config.part);
    report.config("hidden", config.hidden);
    report.config("neuron", config.neuron.0);
    report.config("steps", config.steps);
    report.config("rate", config.rate);
    report.config("seeds", config.seeds);
}

/// One run; its learning curve.
fn train(
    options: &Options,
    config: &Config,
    arm: Arm,
    seed: u64,
    progress: &Progress,
) -> Result<Vec<Point>> {
    let (device, epochs) = (&options.device, config.epochs(options));
    let modulus = config.modulus(options);
    let [pairs, test] = data::split(modulus, config.part, seed, device)?;
    let mut random = Generator::new(device, seed)?;
    let neurons = (config.neuron.1, config.steps);
    let network = Network::new(modulus, config.hidden, neurons, &mut random)?;
    let mut training = Training::new(arm, network, config.rate, &pairs, random)?;
    let every = (epochs / 50).max(1);
    let mut points = Vec::new();
    for epoch in 1..=epochs {
        training.run_epoch()?;
        progress.step();
        if epoch.is_multiple_of(every) || epoch == epochs {
            let point = training.measure(&test)?;
            points.push(point);
            if epoch.is_multiple_of(10 * every) || epoch == epochs {
                progress.news(news(arm, seed, &point));
            }
        }
    }
    Ok(points)
}

fn news(arm: Arm, seed: u64, point: &Point) -> String {
    let percent = |part: f64| 100.0 * part;
    format!(
        "{}, seed {seed}, epoch {}: {:.1} % in training, {:.1} % in the test, {:.1} % losses of 0",
        arm.label,
        point.epoch,
        percent(point.train),
        percent(point.test),
        percent(point.zero)
    )
}

/// Where an arm's runs end, the worst and the best of them.
fn results(report: &mut Report, study: &Study) {
    let last: Vec<Point> = study.runs.iter().filter_map(|run| run.last().copied()).collect();
    let (name, label) = (study.arm.name, study.arm.label);
    for (i, (run, last)) in study.runs.iter().zip(&last).enumerate() {
        report.metric(&format!("{name}.train.{i}"), last.train);
        report.metric(&format!("{name}.test.{i}"), last.test);
        report.metric(&format!("{name}.zero_loss.{i}"), last.zero);
        // 0 if it was never reached.
        report.metric(&format!("{name}.grokked.{i}"), grokked(run).unwrap_or(0) as f64);
    }
    let mut row = |key: &str, text: &str, value: fn(&Point) -> f64| {
        let values: Vec<f64> = last.iter().map(value).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = match values.len() {
            1 => format!("{:.1} %", 100.0 * least),
            _ => format!("{:.1} to {:.1} %", 100.0 * least, 100.0 * most),
        };
        report.row(&format!("{name}.{key}"), least, &format!("{label}: {text}"), range);
    };
    row("train", "training accuracy", |p| p.train);
    row("test", "test accuracy", |p| p.test);
    row("zero_loss", "losses of exactly 0", |p| p.zero);
    let epochs: Vec<Option<u64>> = study.runs.iter().map(|run| grokked(run)).collect();
    let count = epochs.iter().flatten().count() as f64;
    let words = epochs.iter().map(|e| e.map_or("never".into(), |e| e.to_string()));
    let words = words.collect::<Vec<String>>().join(", ");
    report.row(
        &format!("{name}.grokked"),
        count,
        &format!("{label}: 99 % of the test at epoch"),
        words,
    );
}

/// The first epoch that was measured with 99 % of the test right.
fn grokked(run: &[Point]) -> Option<u64> {
    run.iter().find(|point| point.test >= GROKKED).map(|point| point.epoch)
}

/// The first seed's curves.
fn picture(options: &Options, config: &Config, studies: &[Study]) -> Result<()> {
    let draw = |panel: Curves, value: fn(&Point) -> f64| {
        studies.iter().fold(panel, |panel, study| {
            let run = study.runs.first().map_or(&[][..], Vec::as_slice);
            let points = run.iter().map(|p| (p.epoch as f64, 100.0 * value(p)));
            panel.series(study.arm.label, &points.collect::<Vec<_>>())
        })
    };
    let panel = |title: &str| {
        let neuron = config.neuron.0;
        Curves::new(format!("{title} ({neuron})")).x("epoch").y("%")
    };
    let test = draw(panel("Test accuracy"), |p| p.test);
    let train = draw(panel("Training accuracy"), |p| p.train);
    let zero = draw(panel("Training pairs whose loss is exactly 0 in f32"), |p| p.zero);
    let name = format!("grokking_{}.png", config.neuron.0);
    plot::save(options.out.join(name), &[&test, &train, &zero])
}
