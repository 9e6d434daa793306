//! What spiking neurons do to the frequencies of their input: a current with all of them goes in, and
//! the spectrum of the spikes is compared with the current's.
//!
//! After the observation behind Max-Former that spiking neurons pass low
//! frequencies better than high ones. It holds where the current moves by a threshold or more from
//! step to step. A current that hardly moves makes a neuron fire like a clock, which takes power from
//! the *low* frequencies; the last panel of the picture shows where one becomes the other.
//!
//! `cargo run --release --example low_pass -- --help`

#[path = "../common/mod.rs"]
mod common;
mod spectrum;

use common::{Options, Progress, Report};
use spectrum::{Neuron, Power, Setup};
use spikegrad::Result;
use spikegrad::plot::{self, Curves};
use std::path::Path;

const ABOUT: &str = "\
Sends white noise into leaky (LIF) and perfect (IF) integrate-and-fire neurons and compares the power
of high and low frequencies in current and spikes.";

const HELP: &str = "  --steps N        time steps (default 4096, quick 1024)
  --neurons N      neurons, each with its own noise (default 128, quick 32)
  --mean X         mean of the current, in thresholds (default 0.25)
  --noise X        standard deviation of the current, in thresholds (default 1)
  --tau X          time constant of the leaky neurons, in steps (default 2)";

/// Noise of the last panel, in thresholds.
const SWEEP: [f32; 8] = [0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8];

fn main() {
    let (mut steps, mut neurons) = (None, None);
    let mut setup = Setup { steps: 0, neurons: 0, mean: 0.25, noise: 1.0, tau: 2.0 };
    let options = Options::parse("low_pass", ABOUT, HELP, |name, value| {
        match name {
            "steps" => steps = Some(value.at_least(16)?),
            "neurons" => neurons = Some(value.at_least(1)?),
            "mean" => setup.mean = value.between(-100.0, 100.0)?,
            "noise" => setup.noise = value.between(1e-3, 100.0)?,
            "tau" => setup.tau = value.between(1.0, 1e6)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if options.data.is_some() {
        common::refuse("low_pass", "--data: this example makes its own input");
    }
    setup.steps = steps.unwrap_or(if options.quick { 1024 } else { 4096 });
    setup.neurons = neurons.unwrap_or(if options.quick { 32 } else { 128 });
    common::run("low_pass", &options, || measure(&options, setup));
}

fn measure(options: &Options, setup: Setup) -> Result<()> {
    let mut report = Report::new("low_pass");
    report.config("steps", setup.steps);
    report.config("neurons", setup.neurons);
    report.config("mean", setup.mean);
    report.config("noise", setup.noise);
    report.config("tau", setup.tau);
    let powers = setup.powers(&options.device, options.seed)?;
    let row = |report: &mut Report, key: &str, label: &str, power: &Power| {
        let text = format!("{:.3}  {:.1} %", power.high_over_low(), 100.0 * power.rate);
        report.row(&format!("{key}_high_over_low"), power.high_over_low(), label, text);
        report.metric(&format!("{key}_rate"), power.rate);
    };
    println!("\npower of high over power of low frequencies, and spikes a step:");
    let current = &powers.current;
    let ratio = current.high_over_low();
    report.row("current_high_over_low", ratio, "current", format!("{ratio:.3}       "));
    for (neuron, power) in &powers.spikes {
        row(&mut report, &neuron.key(), &neuron.label(), power);
    }
    picture(options, &setup, &powers)?;
    report.finish(options)
}

/// Both spectra, and the ratios as the noise grows.
fn picture(options: &Options, setup: &Setup, powers: &spectrum::Powers) -> Result<()> {
    let path: &Path = &options.out.join("low_pass.png");
    let spectra = |soft: bool| {
        let what = if soft { "soft reset: less one threshold" } else { "hard reset: to 0" };
        let curves = Curves::new(format!("Power, {what}")).x("cycles a step").y("dB of the mean");
        let curves = curves.series("current", &powers.current.decibels());
        let shown = powers.spikes.iter().filter(move |(neuron, _)| neuron.soft == soft);
        shown.fold(curves, |curves, (neuron, power)| {
            curves.series(neuron.label(), &power.decibels())
        })
    };
    let mut sweep: Vec<(Neuron, Vec<(f64, f64)>)> =
        Neuron::ALL.iter().map(|neuron| (*neuron, Vec::new())).collect();
    let progress = Progress::new(SWEEP.len() as u64);
    for noise in SWEEP {
        let at = Setup { noise, steps: setup.steps.min(1024), ..*setup };
        let powers = at.powers(&options.device, options.seed)?;
        for ((_, points), (_, power)) in sweep.iter_mut().zip(&powers.spikes) {
            points.push((f64::from(noise), power.high_over_low()));
        }
        progress.step();
    }
    drop(progress);
    let curves =
        Curves::new("High over low frequencies").x("noise, thresholds").y("ratio of powers");
    let level: Vec<(f64, f64)> = SWEEP.iter().map(|noise| (f64::from(*noise), 1.0)).collect();
    let ratios = sweep.iter().fold(curves.series("current", &level), |curves, (neuron, points)| {
        curves.series(neuron.label(), points)
    });
    plot::save(path, &[&spectra(false), &spectra(true), &ratios])
}
