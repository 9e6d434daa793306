//! A training run that can be killed at any moment: it saves its whole state after every step and
//! goes on from there when it is started again. `resumable DEVICE FILE STEPS`

use spikegrad::data::{Batches, digits};
use spikegrad::encode::poisson;
use spikegrad::lif::{Lif, Spikes};
use spikegrad::loss::{CrossEntropy, rate_cross_entropy};
use spikegrad::nn::{Layer, LifLayer, Linear, Module, Pass};
use spikegrad::optim::{AdamW, Optimizer, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::TrainStep;
use spikegrad::{DType, Device, Error, Result, Tensor, Var};
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

    fn loss(&self, [x, y]: [&Tensor; 2], pass: &mut Pass<'_>) -> Result<Var> {
        let x = pass.constant(x).dropout(0.2, pass.random()?)?;
        let spikes = poisson(x.value(), 6, DType::Bits, pass.random()?)?;
        let current = self.first.forward(&pass.constant(&spikes), pass)?;
        let hidden = self.hidden.forward(&current, pass)?;
        let sums = self.second.forward(&hidden, pass)?;
        let output = self.output.forward(&sums, pass)?;
        rate_cross_entropy(&output, y, CrossEntropy::default())
    }
}

fn run(device: &str, file: &Path, steps: u64) -> Result<()> {
    let device = Device::select(device)?;
    let images = digits()?.train;
    let batches = Batches::new(images.len(), BATCH, SEED);
    let mut random = Generator::new(&device, SEED)?;
    let model = Model::new(&mut random)?;
    let schedule = Schedule::cosine(0.01, steps).warmup(5);
    let builder = AdamW::builder().schedule(schedule).clip_norm(0.5);
    let mut step = TrainStep::new(builder.build(&model.params())?, random)?;
    if file.exists() {
        step.resume(file, &model)?;
    }
    say(&format!("from {}", step.optimizer().steps()));
    while step.optimizer().steps() < steps {
        let (epoch, place) = position(&batches, step.optimizer().steps());
        let batch = &batches.epoch(epoch)[place];
        let x = Tensor::from_slice(&device, &images.pixels(batch)?, [BATCH, 64])?;
        let y = Tensor::from_slice(&device, &images.labels(batch)?, [BATCH])?;
        step.run([&x, &y], |pass, inputs| model.loss(inputs, pass))?;
        step.save(file, &model)?;
        say(&format!("saved {}", step.optimizer().steps()));
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
