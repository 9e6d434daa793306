//! Trains a spiking network on handwritten digits, in well under a minute on two cores.
//!
//! The test is the last 360 of the 1,797 digits: other people wrote most of them, which makes it the
//! harder task (logistic regression gets about 89 %). With `--split shuffled` every writer is known
//! from training (about 97 %). Settings were chosen with `--validate`, on parts of the training
//! images, not on the test.
//!
//! `cargo run --example quickstart -- --help`

mod baseline;
#[path = "../common/mod.rs"]
mod common;
mod edges;
mod network;
mod training;

use common::{Options, Progress, Report, Settings};
use network::{Encoder, Network, Readout, Shape};
use spikegrad::Result;
use spikegrad::data::{Batches, Images, Split, Warp, digits};
use spikegrad::plot::{self, Curves, Raster};
use spikegrad::random::Generator;
use std::path::Path;
use training::{Plan, Test, Training, VIEWS};

const ABOUT: &str = "\
Trains two layers of leaky integrate-and-fire neurons on handwritten digits and compares them with
logistic regression. Without --data it uses the 8 x 8 digits that ship with the crate; a folder may
hold those, MNIST or Fashion-MNIST.";

const HELP: &str = "  --encoder WHAT   direct (default), rate or latency: how pixels become spikes
  --edges WHAT     on (default) or off: whether the network sees edges besides pixels
  --readout WHAT   membrane (default) or rate: what the classes are read from
  --epochs N       passes over the training images (default 120, quick 30)
  --steps N        time steps of an image (default 8)
  --hidden N       hidden neurons (default 512)
  --batch N        images of a step (default 64)
  --rate X         the learning rate at its peak (default 0.01)
  --decay X        weight decay (default 0.2)
  --dropout X      part of the hidden neurons that are silenced in training (default 0)
  --smoothing X    label smoothing (default 0)
  --warp X         strength of the random distortions of training images (default 1, none 0)
  --split WHAT     order (default): the last images are the test, for the digits by other writers
                   than those to train on, the harder task; or shuffled
  --validate K     leave the test images alone and test with the K-th of five parts of the training
                   images, 1 to 5, which are not trained on then: for choosing settings
  --resume         go on from the checkpoint in --out, if there is one; --epochs may be more now";

/// The options of this example alone.
#[derive(Debug, Clone, Copy)]
struct Config {
    encoder: (&'static str, Encoder),
    readout: (&'static str, Readout),
    epochs: Option<u64>,
    steps: usize,
    hidden: usize,
    batch: usize,
    rate: f64,
    decay: f64,
    dropout: f32,
    smoothing: f32,
    split: (&'static str, bool),
    validate: Option<usize>,
    edges: (&'static str, bool),
    warp: f64,
    resume: bool,
}

const ENCODERS: [(&str, Encoder); 3] =
    [("direct", Encoder::Direct), ("rate", Encoder::Rate), ("latency", Encoder::Latency)];
const READOUTS: [(&str, Readout); 2] = [("membrane", Readout::Membrane), ("rate", Readout::Rate)];
/// Parts of the training images, one of which is to validate with.
const PARTS: usize = 5;
/// Whether to shuffle.
const SPLITS: [(&str, bool); 2] = [("order", false), ("shuffled", true)];
const EDGES: [(&str, bool); 2] = [("on", true), ("off", false)];

fn main() {
    let mut config = Config {
        encoder: ENCODERS[0],
        readout: READOUTS[0],
        epochs: None,
        steps: 8,
        hidden: 512,
        batch: 64,
        rate: 0.01,
        decay: 0.2,
        dropout: 0.0,
        smoothing: 0.0,
        split: SPLITS[0],
        validate: None,
        edges: EDGES[0],
        warp: 1.0,
        resume: false,
    };
    let options = Options::parse("quickstart", ABOUT, HELP, |name, value| {
        match name {
            "encoder" => config.encoder = value.choice(&ENCODERS.map(|e| (e.0, e)))?,
            "readout" => config.readout = value.choice(&READOUTS.map(|r| (r.0, r)))?,
            "epochs" => config.epochs = Some(value.at_least(1)?),
            "steps" => config.steps = value.at_least(1)?,
            "hidden" => config.hidden = value.at_least(1)?,
            "batch" => config.batch = value.at_least(1)?,
            "rate" => config.rate = value.between(0.0, 10.0)?,
            "decay" => config.decay = value.between(0.0, 10.0)?,
            "dropout" => config.dropout = value.between(0.0, 0.95)?,
            "split" => config.split = value.choice(&SPLITS.map(|s| (s.0, s)))?,
            "validate" => config.validate = Some(value.between(1, PARTS)?),
            "edges" => config.edges = value.choice(&EDGES.map(|e| (e.0, e)))?,
            "smoothing" => config.smoothing = value.between(0.0, 0.95)?,
            "warp" => config.warp = value.between(0.0, 10.0)?,
            "resume" => config.resume = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    common::run("quickstart", &options, || train(&options, &config));
}

fn train(options: &Options, config: &Config) -> Result<()> {
    let mut report = Report::new("quickstart");
    let data = load(options, config)?;
    let (train, test) = (&data.train, &data.test);
    let what = if config.validate.is_some() { "validation" } else { "test" };
    let (count, tests, split) = (train.len(), test.len(), config.split.0);
    println!("{}: {count} images to train on, {tests} for the {what}, split: {split}", data.name);
    let plan = plan(options, config, &data);

    let classes = train.classes().max(test.classes());
    let Config { hidden, steps, dropout, .. } = *config;
    let shape = Shape { features: plan.features(train), hidden, classes, steps };
    let mut random = Generator::new(&options.device, options.seed)?;
    let network = Network::new(shape, config.encoder.1, config.readout.1, dropout, &mut random)?;
    let mut training = Training::new(&plan, network, train, random)?;

    let saved = options.out.join("quickstart.safetensors");
    if config.resume && saved.exists() {
        training.resume(&saved)?;
        println!("going on from {} after epoch {}", saved.display(), training.epoch());
    }
    run(&mut training, &plan, test, &saved)?;
    let outcome = training.test(test, &VIEWS)?;
    let baseline = baseline::logistic_regression(&options.device, train, test, classes, plan.seed)?;
    pictures(&options.out, &training, &outcome, baseline)?;

    describe(&mut report, config, &plan, &data.name);
    let single = training.history.last().map_or(f64::NAN, |epoch| epoch.test);
    results(&mut report, what, &outcome, single, baseline)?;
    if let Some(last) = training.history.last() {
        report.metric("train_accuracy", last.train);
        report.metric("train_loss", last.loss);
    }
    report.finish(options)
}

/// How to train on these images.
fn plan(options: &Options, config: &Config, data: &Split) -> Plan {
    let train = &data.train;
    let epochs = config.epochs.unwrap_or(if options.quick { 30 } else { 120 });
    let batches = Batches::new(train.len(), config.batch, options.seed);
    let strength = config.warp;
    let warp = Warp {
        rotation: 12.0 * strength,
        stretch: 0.12 * strength,
        shear: 0.15 * strength,
        shift: 0.1 * strength * train.size().0 as f64,
    };
    let Config { rate, decay, smoothing, edges: (_, edges), .. } = *config;
    let seed = options.seed;
    let settings = Settings::default()
        .and("data", &data.name)
        .and("images", train.len())
        .and("seed", seed)
        .and("encoder", config.encoder.0)
        .and("edges", config.edges.0)
        .and("readout", config.readout.0)
        .and("steps", config.steps)
        .and("hidden", config.hidden)
        .and("batch", config.batch)
        .and("split", config.split.0)
        .and("validate", config.validate.unwrap_or(0));
    Plan { batches, epochs, rate, decay, smoothing, warp, edges, seed, settings }
}

/// The images, fewer of them in a quick run.
fn load(options: &Options, config: &Config) -> Result<Split> {
    let mut data = match &options.data {
        Some(folder) => Split::folder(folder)?,
        None => digits()?,
    };
    if config.split.1 {
        data = data.shuffled(0);
    }
    if let Some(part) = config.validate {
        data = data.validation(part - 1, PARTS)?;
    }
    if options.quick {
        (data.train, data.test) = (data.train.first(5000), data.test.first(1000));
    }
    Ok(data)
}

/// Trains to the end of the plan, with a checkpoint after every epoch.
fn run(training: &mut Training<'_>, plan: &Plan, test: &Images, saved: &Path) -> Result<()> {
    let steps = plan.batches.count() as u64;
    let progress = Progress::new(plan.epochs * steps);
    progress.skip(training.epoch() * steps);
    while training.epoch() < plan.epochs {
        let epoch = training.run_epoch(test, || progress.step())?;
        training.save(saved)?;
        progress.news(format!(
            "epoch {}/{}: loss {:.4}, accuracy {:.1} % in training, {:.1} % in the test",
            training.epoch(),
            plan.epochs,
            epoch.loss,
            100.0 * epoch.train,
            100.0 * epoch.test,
        ));
    }
    Ok(())
}

fn describe(report: &mut Report, config: &Config, plan: &Plan, data: &str) {
    report.config("data", data);
    report.config("encoder", config.encoder.0);
    report.config("readout", config.readout.0);
    report.config("epochs", plan.epochs);
    report.config("steps", config.steps);
    report.config("hidden", config.hidden);
    report.config("batch", plan.batches.size());
    report.config("rate", config.rate);
    report.config("decay", config.decay);
    report.config("dropout", config.dropout);
    report.config("edges", config.edges.0);
    report.config("split", config.split.0);
    report.config("validate", config.validate);
    report.config("smoothing", config.smoothing);
    report.config("warp", config.warp);
}

/// What was reached in `what`, the test or a validation: from all views and from a single one.
fn results(
    report: &mut Report,
    what: &str,
    outcome: &Test,
    single: f64,
    baseline: f64,
) -> Result<()> {
    let rate = outcome.spike_rate()?;
    let rows = [
        ("test_accuracy", outcome.accuracy, format!("spiking network, {what} accuracy")),
        ("test_accuracy_one_view", single, "the same without half-pixel shifts".into()),
        ("baseline_accuracy", baseline, format!("logistic regression, {what} accuracy")),
        ("spike_rate", rate, "hidden neurons that fire at a step".into()),
    ];
    for (name, value, label) in rows {
        report.row(name, value, &label, format!("{:.1} %", 100.0 * value));
    }
    Ok(())
}

/// Learning curve and raster.
fn pictures(out: &Path, training: &Training<'_>, outcome: &Test, baseline: f64) -> Result<()> {
    let points = |value: fn(&training::Epoch) -> f64| -> Vec<(f64, f64)> {
        let point = |(i, e): (usize, &training::Epoch)| (i as f64 + 1.0, value(e));
        training.history.iter().enumerate().map(point).collect()
    };
    let level = [(1.0, 100.0 * baseline), (training.epoch() as f64, 100.0 * baseline)];
    // One name in both panels, and so one colour.
    let training_name = "training, distorted images";
    let accuracy = Curves::new("Accuracy").x("epoch").y("correct, %");
    let accuracy = accuracy
        .series(training_name, &points(|e| 100.0 * e.train))
        .series("test, one view", &points(|e| 100.0 * e.test))
        .series("logistic regression, test", &level);
    let loss = Curves::new("Training loss").x("epoch").y("cross-entropy, nats");
    let loss = loss.series(training_name, &points(|e| e.loss));
    plot::save(out.join("learning-curve.png"), &[&accuracy, &loss])?;

    let Some(spikes) = outcome.spikes.first() else { return Ok(()) };
    let &[steps, images, neurons] = spikes.shape().dims() else { return Ok(()) };
    let shown = images.min(10);
    let spikes = spikes.to_bools()?;
    let row = |image: usize, step: usize| &spikes[(step * images + image) * neurons..][..neurons];
    let strip: Vec<bool> =
        (0..shown * steps).flat_map(|i| row(i / steps, i % steps).iter().copied()).collect();
    let title = format!("Hidden spikes, {shown} test images of {steps} steps each");
    let raster = Raster::new(title, &strip, neurons).borders((1..shown).map(|i| i * steps));
    plot::save(out.join("raster.png"), &[&raster])
}
