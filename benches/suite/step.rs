//! A training step of a linear layer and a LIF neuron, the one of `benches/burn`: launches, memory,
//! time by T, recorded and replayed, and the time from process start to the first step.

use crate::harness::{Suite, median, milliseconds};
use crate::input::{SEED, xorshift};
use spikegrad::elementwise::{self, Activation};
use spikegrad::lif::{Lif, Reset, Spikes, Surrogate};
use spikegrad::linalg::linear;
use spikegrad::loss::rate_mse;
use spikegrad::{Capture, Device, Result, Tape, Tensor};
use std::process::Command;

/// Batch and features.
pub const SIZE: [usize; 2] = [32, 256];

/// Time steps.
pub fn steps(quick: bool) -> &'static [usize] {
    if quick { &[16, 64] } else { &[16, 64, 128] }
}

/// The problem of `benches/burn`, with the same input and weights.
pub struct Step {
    x: Tensor,
    w: Tensor,
    lif: Lif,
}

/// What a step computes.
pub struct Outcome {
    pub loss: Tensor,
    pub gradient: Tensor,
}

impl Step {
    pub fn new(device: &Device, t: usize, packed: bool) -> Result<Self> {
        let [b, n] = SIZE;
        let mut uniform = xorshift(SEED);
        let x: Vec<f32> = (0..t * b * n).map(|_| f32::from(uniform() < 0.2)).collect();
        let bound = 1.5 / (n as f32).sqrt();
        let w: Vec<f32> = (0..n * n).map(|_| (2.0 * uniform() - 1.0) * bound).collect();
        let x = Tensor::from_slice(device, &x, [t, b, n])?;
        let lif = Lif::new().decay(0.9).reset(Reset::Soft).detach_reset(false);
        let lif = lif.output(if packed { Spikes::Bits } else { Spikes::F32 });
        Ok(Self {
            x: if packed { elementwise::pack(&x)? } else { x },
            w: Tensor::from_slice(device, &w, [n, n])?,
            lif: lif.surrogate(Surrogate::Sigmoid(4.0)),
        })
    }

    /// Records forward and backward.
    pub fn run(&self) -> Result<Outcome> {
        let tape = Tape::new();
        let (x, w) = (tape.constant(&self.x), tape.leaf(&self.w));
        let current = linear(&x, &w, None, Activation::Identity)?;
        let loss = rate_mse(&self.lif.scan(&current, None)?.spikes, 0.2)?;
        let gradients = loss.backward()?;
        let gradient = gradients.get(&w).cloned();
        let gradient = gradient
            .ok_or_else(|| spikegrad::Error::argument("step", "the weights got no gradient"))?;
        Ok(Outcome { loss: loss.value().clone(), gradient })
    }

    /// A step with the gradient read back: what is timed.
    pub fn run_and_read(&self) -> Result<Vec<f32>> {
        self.run()?.gradient.to_vec()
    }
}

pub fn measure(suite: &mut Suite) {
    for &t in steps(suite.options.quick) {
        for packed in [false, true] {
            let kind = if packed { "packed spikes" } else { "f32 spikes" };
            let name = format!("step/linear + LIF T={t} {kind}");
            if suite.wants(&name)
                && let Err(e) = one(suite, t, packed, kind)
            {
                suite.fail(&name, &e);
            }
        }
    }
    let name = "step/process start to first step";
    if suite.wants(name)
        && let Err(e) = first_steps(suite)
    {
        suite.failures.push(format!("{name}: {e}"));
    }
}

fn one(suite: &mut Suite, t: usize, packed: bool, kind: &str) -> Result<()> {
    let device = suite.device.clone();
    let step = Step::new(&device, t, packed)?;
    let name = |what: &str| format!("step T={t}, {kind}: {what}");
    let effort = suite.effort();
    let times = effort.repeat(|| Ok(milliseconds(|| step.run_and_read())?.0))?;
    let (outcome, capture) = device.capture(|| step.run())?;
    let replays = effort.repeat(|| Ok(milliseconds(|| replay(&capture, &outcome))?.0))?;
    device.reset_peak();
    step.run_and_read()?;
    suite.figure(name("forward, backward, gradient read"), median(&times), "ms");
    suite.figure(name("the same, replayed"), median(&replays), "ms");
    suite.figure(name("launches"), capture.launches() as f64, "launches");
    suite.figure(name("bytes held at most"), device.memory().peak as f64, "bytes");
    if packed {
        suite.point("step", "spikegrad, packed spikes", t as f64, median(&times));
    } else {
        suite.point("step", "spikegrad", t as f64, median(&times));
        suite.point("step", "spikegrad, replayed", t as f64, median(&replays));
        kernels(suite, &step, t)?;
    }
    Ok(())
}

fn replay(capture: &Capture, outcome: &Outcome) -> Result<Vec<f32>> {
    capture.replay()?;
    outcome.gradient.to_vec()
}

/// The step's kernels, one line each.
fn kernels(suite: &mut Suite, step: &Step, t: usize) -> Result<()> {
    let [b, n] = SIZE;
    suite.case("step", "kernels", &format!("step {t}x{b}x{n}"), |_| Ok(|| step.run().map(drop)));
    Ok(())
}

/// Runs one step and prints its loss: the whole of a process whose start is timed.
pub fn first_step(device: &Device) -> Result<f32> {
    let step = Step::new(device, 16, false)?;
    step.run()?.loss.item()
}

/// Milliseconds from process start to the end of the first step, with an empty pipeline cache and
/// with the one that the run before left.
fn first_steps(suite: &mut Suite) -> std::result::Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let cache = std::env::temp_dir().join(format!("spikegrad-suite-{}", std::process::id()));
    let run = || {
        let mut command = Command::new(&program);
        command.arg("--first-step").env("SPIKEGRAD_CACHE", &cache);
        if let Some(device) = &suite.options.device {
            command.args(["--device", device]);
        }
        let start = std::time::Instant::now();
        let outcome = command.output().map_err(|e| e.to_string())?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        if outcome.status.success() {
            Ok(time)
        } else {
            Err(String::from_utf8_lossy(&outcome.stderr).into_owned())
        }
    };
    let cold = run();
    let warm = run();
    // What cannot be removed is left to the system, whose folder it is.
    let _ = std::fs::remove_dir_all(&cache);
    suite.figure("process start to first step: no pipeline cache", cold?, "ms");
    suite.figure("process start to first step: with one", warm?, "ms");
    Ok(())
}
