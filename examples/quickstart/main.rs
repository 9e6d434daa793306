//! Trains a spiking network on handwritten digits, in well under a minute on two cores.
//!
//! `cargo run --release --example quickstart -- --help`

mod baseline;
#[path = "../common/mod.rs"]
mod common;
mod network;
mod training;

use common::{Options, Progress, Report};
use network::{Encoder, Network, Readout, Shape};
use spikegrad::data::{Batches, Split, digits};
use spikegrad::plot::{self, Curves, Raster};
use spikegrad::random::Generator;
use spikegrad::{Error, Result};
use std::path::Path;
use training::{Plan, Test, Training};

const ABOUT: &str = "\
Trains two layers of leaky integrate-and-fire neurons on handwritten digits and compares them with
logistic regression. Without --data it uses the 8 x 8 digits that ship with the crate; a folder may
hold those, MNIST or Fashion-MNIST.";

const HELP: &str = "\
  --encoder WHAT   direct (default), rate or latency: how pixels become spikes
  --readout WHAT   rate (default) or membrane: what the classes are read from
  --epochs N       passes over the training images (default 30, quick 12)
  --steps N        time steps of an image (default 8)
  --hidden N       hidden neurons (default 128)
  --batch N        images of a step (default 64)
  --rate X         the learning rate at its peak (default 0.005)
  --resume         go on from the checkpoint in --out, if there is one";

/// The options of this example alone.
struct Config {
    encoder: (&'static str, Encoder),
    readout: (&'static str, Readout),
    epochs: Option<u64>,
    steps: usize,
    hidden: usize,
    batch: usize,
    rate: f64,
    resume: bool,
}

const ENCODERS: [(&str, Encoder); 3] =
    [("direct", Encoder::Direct), ("rate", Encoder::Rate), ("latency", Encoder::Latency)];
const READOUTS: [(&str, Readout); 2] = [("rate", Readout::Rate), ("membrane", Readout::Membrane)];

fn main() {
    let mut config = Config {
        encoder: ENCODERS[0],
        readout: READOUTS[0],
        epochs: None,
        steps: 8,
        hidden: 128,
        batch: 64,
        rate: 0.005,
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
            "rate" => config.rate = value.at_least(0.0)?,
            "resume" => config.resume = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    common::run("quickstart", || train(&options, &config));
}

fn train(options: &Options, config: &Config) -> Result<()> {
    let mut report = Report::new("quickstart");
    println!("device: {}", options.device);
    let data = load(options)?;
    let (train, test) = (&data.train, &data.test);
    println!("{}: {} images to train on, {} to test with", data.name, train.len(), test.len());
    let epochs = config.epochs.unwrap_or(if options.quick { 12 } else { 30 });
    let batches = Batches::new(train.len(), config.batch, options.seed);
    let plan = Plan { batches, epochs, rate: config.rate, seed: options.seed };

    let classes = train.classes().max(test.classes());
    let Config { hidden, steps, .. } = *config;
    let shape = Shape { features: train.features(), hidden, classes, steps };
    let mut random = Generator::new(&options.device, options.seed)?;
    let network = Network::new(shape, config.encoder.1, config.readout.1, &mut random)?;
    let mut training = Training::new(&plan, network, train, random)?;

    std::fs::create_dir_all(&options.out).map_err(|e| Error::io(&options.out, &e))?;
    let saved = options.out.join("quickstart.safetensors");
    if config.resume && saved.exists() {
        training.resume(&saved)?;
        println!("going on from {} after epoch {}", saved.display(), training.epoch());
    }
    run(&mut training, &plan, test, &saved)?;
    let outcome = training.test(test)?;
    let seed = options.seed;
    let baseline = baseline::logistic_regression(&options.device, train, test, classes, seed)?;
    pictures(&options.out, &training, &outcome, baseline)?;

    settings(&mut report, config, &plan, &data.name);
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    let (accuracy, rate) = (outcome.accuracy, outcome.spike_rate()?);
    report.row("test_accuracy", accuracy, "spiking network, test accuracy", percent(accuracy));
    let label = "logistic regression, test accuracy";
    report.row("baseline_accuracy", baseline, label, percent(baseline));
    report.row("spike_rate", rate, "hidden neurons that fire at a step", percent(rate));
    if let Some(last) = training.history.last() {
        report.metric("train_accuracy", last.train);
        report.metric("train_loss", last.loss);
    }
    report.finish(options)
}

/// The images, fewer of them in a quick run.
fn load(options: &Options) -> Result<Split> {
    let mut data = match &options.data {
        Some(folder) => Split::folder(folder)?,
        None => digits()?,
    };
    if options.quick {
        (data.train, data.test) = (data.train.first(5000), data.test.first(1000));
    }
    Ok(data)
}

/// Trains to the end of the plan, with a checkpoint after every epoch.
fn run(
    training: &mut Training<'_>,
    plan: &Plan,
    test: &spikegrad::data::Images,
    saved: &Path,
) -> Result<()> {
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

fn settings(report: &mut Report, config: &Config, plan: &Plan, data: &str) {
    report.config("data", data);
    report.config("encoder", config.encoder.0);
    report.config("readout", config.readout.0);
    report.config("epochs", plan.epochs);
    report.config("steps", config.steps);
    report.config("hidden", config.hidden);
    report.config("batch", plan.batches.size());
    report.config("rate", config.rate);
}

/// Learning curve and raster.
fn pictures(out: &Path, training: &Training<'_>, outcome: &Test, baseline: f64) -> Result<()> {
    let points = |value: fn(&training::Epoch) -> f64| -> Vec<(f64, f64)> {
        let point = |(i, e): (usize, &training::Epoch)| (i as f64 + 1.0, value(e));
        training.history.iter().enumerate().map(point).collect()
    };
    let level = [(1.0, 100.0 * baseline), (training.epoch() as f64, 100.0 * baseline)];
    let accuracy = Curves::new("Accuracy").x("epoch").y("correct, %");
    let accuracy = accuracy
        .series("training", &points(|e| 100.0 * e.train))
        .series("test", &points(|e| 100.0 * e.test))
        .series("logistic regression, test", &level);
    let loss = Curves::new("Training loss").x("epoch").y("cross-entropy, nats");
    let loss = loss.series("training", &points(|e| e.loss));
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
