//! The language models: a training step, and one-token decode at several positions.

use crate::harness::{Suite, median, milliseconds};
use spikegrad::models::{
    LanguageModel, Pass, SpikeGpt, SpikeGptConfig, SymbolicLight, SymbolicLightConfig,
};
use spikegrad::random::Generator;
use spikegrad::{Device, Result, Tape, Tensor};

/// Characters of an English text.
const VOCABULARY: usize = 65;

/// Tokens and texts of a training step.
const STEP: [usize; 2] = [128, 16];

/// The positions at which a token's time is taken.
fn positions(quick: bool) -> &'static [usize] {
    if quick { &[16, 256] } else { &[16, 256, 1024, 4096] }
}

pub fn measure(suite: &mut Suite) {
    one(suite, "symbolic-light", |device| {
        let config = SymbolicLightConfig::new(VOCABULARY);
        SymbolicLight::new(&config, &mut Generator::new(device, 0)?)
    });
    one(suite, "spike-gpt", |device| {
        let config = SpikeGptConfig::new(VOCABULARY);
        SpikeGpt::new(&config, &mut Generator::new(device, 0)?)
    });
}

/// A measurement of a model of some name.
type Work<M> = fn(&mut Suite, &str, &M) -> Result<()>;

fn one<M: LanguageModel>(suite: &mut Suite, name: &str, model: impl Fn(&Device) -> Result<M>) {
    let work: [(&str, Work<M>); 2] = [("training step", train), ("decode", decode)];
    for (kind, work) in work {
        let label = format!("models/{name} {kind}");
        if suite.wants(&label)
            && let Err(e) = model(&suite.device).and_then(|model| work(suite, name, &model))
        {
            suite.fail(&label, &e);
        }
    }
}

/// Forward and backward over a batch of windows, replayed from a capture.
fn train<M: LanguageModel>(suite: &mut Suite, name: &str, model: &M) -> Result<()> {
    let device = suite.device.clone();
    let [steps, batch] = STEP;
    let token = |i: usize| ((i * 31 + i / 7) % VOCABULARY) as u32;
    let tokens: Vec<u32> = (0..steps * batch).map(token).collect();
    let targets: Vec<u32> = (0..steps * batch).map(|i| token(i + 1)).collect();
    let tokens = Tensor::from_slice(&device, &tokens, STEP)?;
    let targets = Tensor::from_slice(&device, &targets, STEP)?;
    device.reset_peak();
    let (loss, capture) = device.capture(|| {
        let loss = model.loss(&tokens, &targets, &mut Pass::new(&Tape::new()))?;
        let gradients = loss.backward()?;
        Ok((loss.value().clone(), gradients))
    })?;
    let held = device.memory().peak as f64;
    let replay = || {
        capture.replay()?;
        loss.0.item()
    };
    let times = suite.effort().repeat(|| Ok(milliseconds(replay)?.0))?;
    let what = |what: &str| format!("{name}, {steps} tokens x {batch}, training step: {what}");
    suite.figure(what("forward, backward"), median(&times), "ms");
    suite.figure(what("tokens"), (steps * batch) as f64 / median(&times) * 1e3, "tokens/s");
    suite.figure(what("launches"), capture.launches() as f64, "launches");
    suite.figure(what("bytes held at most"), held, "bytes");
    Ok(())
}

/// One token after another; the time of a token around some positions.
fn decode<M: LanguageModel>(suite: &mut Suite, name: &str, model: &M) -> Result<()> {
    /// Tokens whose mean is one sample.
    const RUN: usize = 16;
    let mut state = model.state(1)?;
    let mut position = 0;
    let mut step = || -> Result<()> {
        let token = ((position * 31 + position / 7) % VOCABULARY) as u32;
        let token = Tensor::from_slice(model.device(), &[token], [1, 1])?;
        model.advance(&token, &mut state)?.to_vec::<f32>()?;
        position += 1;
        Ok(())
    };
    let mut at = 0;
    for &next in positions(suite.options.quick) {
        while at < next {
            step()?;
            at += 1;
        }
        let samples = (0..8).map(|_| Ok(milliseconds(|| (0..RUN).try_for_each(|_| step()))?.0));
        let samples = samples.collect::<Result<Vec<f64>>>()?;
        at += samples.len() * RUN;
        let speed = RUN as f64 / median(&samples) * 1e3;
        suite.figure(format!("{name}, decode at position {next}"), speed, "tokens/s");
        suite.point("models", name, next as f64, 1e3 / speed);
    }
    Ok(())
}
