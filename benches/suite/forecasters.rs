//! The forecasters: a training step at the extents of data sets of power and of traffic, and for
//! FourierGNN beside a step that transforms all channels of its embedding.

use crate::harness::{Suite, fastest, median, milliseconds};
use crate::input;
use spikegrad::models::{Forecaster, FourierGnn, FourierGnnConfig, Pass, SpikfGo, SpikfGoConfig};
use spikegrad::optim::{AdamW, Optimizer};
use spikegrad::random::Generator;
use spikegrad::{Device, Result, Tape};

/// Data sets and their series: METR-LA's sensors, ECL's meters.
const SERIES: [(&str, usize); 2] = [("METR-LA", 207), ("ECL", 370)];

/// Windows of a step: what fits into bindings of 128 MiB.
const BATCH: usize = 4;

pub fn measure(suite: &mut Suite) {
    let (series, embed) = if suite.options.quick { (&SERIES[..1], 16) } else { (&SERIES[..], 128) };
    for &(name, variables) in series {
        let gnn = FourierGnnConfig::new(variables).embed(embed);
        let extents = format!("{name}: {variables} series, E {embed}, {BATCH} windows");
        let each = gnn.clone().rank_one(false);
        let make = |config: FourierGnnConfig| {
            move |device: &Device| FourierGnn::new(&config, &mut Generator::new(device, 0)?)
        };
        let one = step(suite, "FourierGNN", &extents, make(gnn));
        let all = step(suite, "FourierGNN by E transforms", &extents, make(each));
        if let (Some(one), Some(all)) = (one, all) {
            let label = format!("forecasters/FourierGNN, {extents}: E transforms over one");
            suite.figure(label, all / one, "x");
        }
        step(suite, "SpikF-GO", &extents, |device| {
            let config = SpikfGoConfig::new(variables).embed(embed);
            SpikfGo::new(&config, &mut Generator::new(device, 0)?)
        });
    }
}

/// A step of AdamW with clipped gradients; its least time in milliseconds.
fn step<M: Forecaster>(
    suite: &mut Suite,
    name: &str,
    extents: &str,
    model: impl FnOnce(&Device) -> Result<M>,
) -> Option<f64> {
    let label = format!("forecasters/{name}, {extents}");
    if !suite.wants(&label) {
        return None;
    }
    let outcome = model(&suite.device).and_then(|model| train(suite, &label, &model));
    outcome.map_err(|e| suite.fail(&label, &e)).ok()
}

/// The whole step, replayed from a capture.
fn train<M: Forecaster>(suite: &mut Suite, label: &str, model: &M) -> Result<f64> {
    let device = suite.device.clone();
    let window = input::normal(&device, [model.look_back(), BATCH, model.variables()])?;
    let target = input::normal(&device, [model.horizon(), BATCH, model.variables()])?;
    let mut random = Generator::new(&device, 1)?;
    random.advance()?;
    let mut adam = AdamW::builder().clip_norm(1.0).build(&model.params())?;
    device.reset_peak();
    let (loss, capture) = device.capture(|| {
        let tape = Tape::new();
        let loss = model.loss(&window, &target, &mut Pass::training(&tape, &mut random))?;
        adam.step(&loss.total.backward()?)?;
        random.advance()?;
        Ok(loss.fit.value().clone())
    })?;
    let held = device.memory().peak as f64;
    let replay = || {
        capture.replay()?;
        loss.item()
    };
    let times = suite.effort().repeat(|| Ok(milliseconds(replay)?.0))?;
    let (_, profile) = device.profile(|| capture.replay())?;
    suite.figure(format!("{label}: step"), median(&times), "ms");
    suite.figure(format!("{label}: launches"), capture.launches() as f64, "launches");
    suite.figure(format!("{label}: bytes held at most"), held, "bytes");
    let moved: f64 = profile.rows().iter().map(|row| row.bytes).sum();
    suite.figure(format!("{label}: bytes moved"), moved, "bytes");
    Ok(fastest(&times))
}
