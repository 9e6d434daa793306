//! The forecasters: a training step at the extents of data sets of power and of traffic, and for
//! FourierGNN beside a step that transforms all channels of its embedding.

use crate::harness::{Suite, fastest, median, milliseconds};
use crate::input;
use spikegrad::models::{Forecaster, FourierGnn, FourierGnnConfig, SpikfGo, SpikfGoConfig};
use spikegrad::optim::AdamW;
use spikegrad::random::Generator;
use spikegrad::train::TrainStep;
use spikegrad::{Device, Error, Result};

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

/// The whole step, with the time of its replays.
fn train<M: Forecaster>(suite: &mut Suite, label: &str, model: &M) -> Result<f64> {
    let device = suite.device.clone();
    let window = input::normal(&device, [model.look_back(), BATCH, model.variables()])?;
    let target = input::normal(&device, [model.horizon(), BATCH, model.variables()])?;
    let adam = AdamW::builder().clip_norm(1.0).build(&model.params())?;
    let mut step = TrainStep::new(adam, Generator::new(&device, 1)?)?;
    device.reset_peak();
    let mut run = || {
        step.run([], |pass, []| model.loss(&window, &target, pass))?;
        let numbers = step.finish()?;
        Ok(numbers.ok_or_else(|| Error::argument("forecasters", "a step without a loss"))?.loss())
    };
    run()?;
    let held = device.memory().peak as f64;
    let times = suite.effort().repeat(|| Ok(milliseconds(&mut run)?.0))?;
    let (_, profile) = device.profile(&mut run)?;
    suite.figure(format!("{label}: step"), median(&times), "ms");
    suite.figure(format!("{label}: launches"), step.launches() as f64, "launches");
    suite.figure(format!("{label}: bytes held at most"), held, "bytes");
    let moved: f64 = profile.rows().iter().map(|row| row.bytes).sum();
    suite.figure(format!("{label}: bytes moved"), moved, "bytes");
    Ok(fastest(&times))
}
