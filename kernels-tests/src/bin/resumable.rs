//! A training run that can be killed at any moment: it saves its whole state after every step and
//! goes on from there when it is started again. `resumable DEVICE FILE STEPS`

use spikegrad::checkpoint::Checkpoint;
use spikegrad::data::{Batches, digits};
use spikegrad::encode::poisson;
use spikegrad::lif::{Lif, Spikes};
use spikegrad::loss::{CrossEntropy, rate_cross_entropy};
use spikegrad::nn::{Layer, LifLayer, Linear, Module, Pass};
use spikegrad::optim::{AdamW, Optimizer, Schedule};
use spikegrad::random::{Generator, GeneratorState};
use spikegrad::{DType, Device, Error, Result, Tape, Tensor};
use std::io::Write;
use std::path::Path;

const SEED: u64 = 11;
const BATCH: usize = 48;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [device, file, steps] => run(device, Path::new(file), steps.parse().unwrap_or(0)),
        _ => Err(Error::argument("resumable", "usage: resumable DEVICE FILE STEPS")),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resumable: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// A network with everything that has a state: weights, learned decays, random input.
struct Model {
    first: Linear,
    hidden: LifLayer,
    second: Linear,
    output: LifLayer,
}

spikegrad::module!(Model { first, hidden, second });

impl Model {
    fn new(random: &mut Generator) -> Result<Self> {
        let hidden = LifLayer::builder(Lif::new().output(Spikes::Bits));
        Ok(Self {
            first: Linear::builder(64, 24).gain(2.0).build(random)?,
            hidden: hidden.learn_decay(0.5, 24).build(random.device())?,
            second: Linear::builder(24, 10).gain(2.0).build(random)?,
            output: LifLayer::new(Lif::new()),
        })
    }

    fn step(
        &self,
        x: &Tensor,
        y: &Tensor,
        optimizer: &mut AdamW,
        random: &mut Generator,
    ) -> Result<()> {
        let tape = Tape::new();
        let x = tape.constant(x).dropout(0.2, random)?;
        let spikes = tape.constant(&poisson(x.value(), 6, DType::Bits, random)?);
        let pass = &mut Pass::new(&tape);
        let current = self.first.forward(&spikes, pass)?;
        let hidden = self.hidden.forward(&current, pass)?;
        let sums = self.second.forward(&hidden, pass)?;
        let output = self.output.forward(&sums, pass)?;
        let loss = rate_cross_entropy(&output, y, CrossEntropy::default())?;
        optimizer.step(&loss.backward()?)?;
        random.advance()
    }
}

fn run(device: &str, file: &Path, steps: u64) -> Result<()> {
    let device = Device::select(device)?;
    let images = digits()?.train;
    let batches = Batches::new(images.len(), BATCH, SEED);
    let mut random = Generator::new(&device, SEED)?;
    let model = Model::new(&mut random)?;
    random.advance()?;
    let schedule = Schedule::cosine(0.01, steps).warmup(5);
    let builder = AdamW::builder().schedule(schedule).clip_norm(0.5);
    let mut optimizer = builder.build(&model.params())?;
    let x = Tensor::zeros(&device, [BATCH, 64], DType::F32)?;
    let y = Tensor::zeros(&device, [BATCH], DType::U32)?;
    let state = |optimizer: &AdamW| {
        Checkpoint::new().params(&model.params()).optimizer("optimizer", optimizer)
    };
    if file.exists() {
        let notes = state(&optimizer).load(file)?;
        optimizer.set_steps(notes.parse("optimizer.steps")?);
        let state = GeneratorState { seed: SEED, step: notes.parse("random.step")? };
        random = Generator::restore(&device, state)?;
    }
    say(&format!("from {}", optimizer.steps()));
    let mut captured = None;
    while optimizer.steps() < steps {
        let (epoch, place) = position(&batches, optimizer.steps());
        let batch = &batches.epoch(epoch)[place];
        x.write(&images.pixels(batch)?)?;
        y.write(&images.labels(batch)?)?;
        match &captured {
            None => {
                let step = || model.step(&x, &y, &mut optimizer, &mut random);
                captured = Some(device.capture(step)?.1);
            }
            Some(capture) => capture.replay()?,
        }
        state(&optimizer).note("random.step", random.state()?.step).save(file)?;
        say(&format!("saved {}", optimizer.steps()));
    }
    Ok(())
}

/// Epoch and batch of a step.
fn position(batches: &Batches, step: u64) -> (u64, usize) {
    let count = batches.count() as u64;
    (step / count, (step % count) as usize)
}

fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}
