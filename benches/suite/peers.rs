//! Other implementations of the same work, run in turns with ours: burn's training step, and the LIF
//! scan in numba.

use crate::harness::{Suite, median, milliseconds};
use crate::{lif, step};
use cpu_time::ProcessTime;
use serde_json::Value;
use spikegrad::{Device, Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Turns that each side gets.
const TURNS: usize = 3;

pub fn measure(suite: &mut Suite) {
    if let Some(program) = suite.options.burn.clone()
        && suite.wants("peers/burn step")
        && let Err(e) = burn(suite, &program)
    {
        suite.fail("peers/burn step", &e);
    }
    if let Some(python) = suite.options.numba.clone()
        && suite.wants("peers/numba scan")
        && let Err(e) = numba(suite, &python)
    {
        suite.fail("peers/numba scan", &e);
    }
}

/// Ours and burn's step in turns, for each T.
fn burn(suite: &mut Suite, program: &Path) -> Result<()> {
    let software = suite.device.capabilities().software;
    let adapter = if software { "cpu" } else { "default" };
    for &t in step::steps(suite.options.quick) {
        let work = step::Step::new(&suite.device, t, false)?;
        let (mut ours, mut theirs, mut last) = (Vec::new(), Vec::new(), Value::Null);
        for _ in 0..TURNS {
            let arguments = ["--t", &t.to_string(), "--steps", "5", "--device", adapter];
            last = lines(Command::new(program).args(arguments))?.pop().unwrap_or_default();
            theirs.extend(numbers(&last["ms"]));
            work.run_and_read()?;
            for _ in 0..5 {
                ours.push(milliseconds(|| work.run_and_read())?.0);
            }
        }
        let outcome = work.run()?;
        let (loss, gradient) = (outcome.loss.item()?, outcome.gradient.to_vec::<f64>()?);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let name = |what: &str| format!("burn, step T={t}: {what}");
        suite.figure(name("burn"), median(&theirs), "ms");
        suite.figure(name("spikegrad"), median(&ours), "ms");
        suite.figure(name("ratio of medians"), median(&theirs) / median(&ours), "x");
        suite.figure(name("ratio of minima"), least(&theirs) / least(&ours), "x");
        suite.figure(name("burn's launches"), number(&last["launches"]), "launches");
        let gap = |a: f64, b: f64| (a - b).abs() / b.abs().max(1e-30);
        suite.figure(name("loss, relative gap"), gap(loss.into(), number(&last["loss"])), "");
        suite.figure(
            name("gradient norm, relative gap"),
            gap(norm, number(&last["grad_norm"])),
            "",
        );
        suite.point("step", "burn", t as f64, median(&theirs));
    }
    Ok(())
}

/// Ours on the host, on one thread, and numba's scan in turns; process CPU time.
fn numba(suite: &mut Suite, python: &Path) -> Result<()> {
    let script: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "benches/peers/lif_numba.py"].iter().collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|e| Error::argument("numba", e.to_string()))?;
    let mut ours = vec![Vec::new(); lif::SHAPES.len()];
    let mut theirs = ours.clone();
    for _ in 0..TURNS {
        for (times, shape) in ours.iter_mut().zip(lif::SHAPES) {
            times.extend(pool.install(|| scan_times(shape))?);
        }
        let arguments = ["--repeats", "15"];
        let found = lines(Command::new(python).arg(&script).args(arguments))?;
        for (times, line) in theirs.iter_mut().zip(&found) {
            times.push(number(&line["cpu_ms"]));
        }
    }
    for ((ours, theirs), [t, b, n]) in ours.iter().zip(&theirs).zip(lif::SHAPES) {
        let name = |what: &str| format!("numba, LIF {t}x{b}x{n}, CPU time on one thread: {what}");
        suite.figure(name("numba"), median(theirs), "ms");
        suite.figure(name("spikegrad host"), median(ours), "ms");
        suite.figure(name("ratio"), median(theirs) / median(ours), "x");
    }
    Ok(())
}

/// CPU times of forward and backward passes on the host, in milliseconds.
fn scan_times(shape: [usize; 3]) -> Result<Vec<f64>> {
    let pass = lif::Pass::new(&Device::host(), shape, lif::neuron())?;
    for _ in 0..3 {
        pass.run()?;
    }
    let time = |_| {
        let start = ProcessTime::now();
        pass.run()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    (0..15).map(time).collect()
}

/// The JSON lines that a program prints.
fn lines(command: &mut Command) -> Result<Vec<Value>> {
    let program = PathBuf::from(command.get_program());
    let outcome = command.output().map_err(|e| Error::io(&program, &e))?;
    if !outcome.status.success() {
        let text = String::from_utf8_lossy(&outcome.stderr);
        return Err(Error::format(&program, text.trim().to_string()));
    }
    let text = String::from_utf8_lossy(&outcome.stdout);
    let parsed: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if parsed.is_empty() {
        return Err(Error::format(&program, format!("no JSON in its output: {text}")));
    }
    Ok(parsed)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
