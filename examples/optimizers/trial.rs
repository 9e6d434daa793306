//! One run: one arm, one rate, one seed.

use super::arms::{Arm, Setting};
use super::problem::{Learner, Problem};
use spikegrad::optim::Optimizer;
use spikegrad::random::{Generator, GeneratorState};
use spikegrad::spectral::spectral_norm;
use spikegrad::train::{StepLoss, TrainStep};
use spikegrad::{Device, Param, Result, Tensor};
use std::time::Instant;

/// Points of a learning curve.
const POINTS: u64 = 10;
/// Steps of the power iteration behind a norm.
const ITERATIONS: usize = 60;
/// One step in so many has gradients that are too large,
const SPIKE_EVERY: u64 = 200;
/// by this factor.
const SPIKE: f32 = 1000.0;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The validation loss at the end, in nats; infinite where training diverged.
    pub loss: f64,
    pub accuracy: Option<f64>,
    /// Steps and validation losses.
    pub curve: Vec<(f64, f64)>,
    /// The spectral norm of each weight matrix at the end.
    pub norms: Vec<f64>,
    /// Milliseconds of a training step, in the fastest stretch between two points of the curve.
    pub ms: f64,
}

/// A model in training.
struct Run<'a> {
    learner: Box<dyn Learner + 'a>,
    step: TrainStep<Box<dyn Optimizer>>,
}

impl Run<'_> {
    /// One step, with gradients that are `scale` times as large.
    fn step(&mut self, step: u64, scale: f32) -> Result<()> {
        let [x, y] = self.learner.batch(step)?;
        let scale = Tensor::from_slice(self.step.device(), &[scale], [])?;
        self.step.run([&x, &y, &scale], |pass, [x, y, scale]| {
            Ok(StepLoss::new(self.learner.loss([x, y], pass)?).scaled(scale))
        })?;
        Ok(())
    }
}

/// Trains a model from its start.
pub fn run(problem: &dyn Problem, arm: &Arm, setting: &Setting, seed: u64) -> Result<Outcome> {
    let learner = problem.start(seed)?;
    let params = learner.params();
    let optimizer = (arm.build)(setting, &params)?;
    let device = problem.device();
    let step = TrainStep::new(optimizer, Generator::new(device, seed)?)?;
    let mut run = Run { learner, step };
    let (mut curve, mut ms) = (Vec::new(), f64::INFINITY);
    let every = (setting.steps / POINTS).max(1);
    let mut clock = Clock::start();
    for step in 0..setting.steps {
        let spiked = arm.spikes && step == spike_of(seed, step / SPIKE_EVERY)?;
        run.step(step, if spiked { SPIKE } else { 1.0 })?;
        if step == 0 {
            // Recording the step, and compiling its kernels, is no part of it.
            device.wait()?;
            clock = Clock::start();
        } else {
            clock.steps += 1;
        }
        let done = step + 1;
        if done.is_multiple_of(every) || done == setting.steps {
            device.wait()?;
            ms = ms.min(clock.milliseconds());
            curve.push((done as f64, run.learner.validate(false)?.loss));
            clock = Clock::start();
        }
    }
    let score = run.learner.validate(true)?;
    let loss = if score.loss.is_finite() { score.loss } else { f64::INFINITY };
    Ok(Outcome { loss, accuracy: score.accuracy, curve, norms: norms(&params)?, ms })
}

/// The step of the `block`th 200 at which gradients are too large: drawn from the seed, the same for
/// every arm.
fn spike_of(seed: u64, block: u64) -> Result<u64> {
    let state = GeneratorState { seed: seed ^ 0x5B1E, step: block as u32 };
    let draw = Generator::restore(&Device::host(), state)?.uniform([1])?.item()?;
    Ok(block * SPIKE_EVERY + (f64::from(draw) * SPIKE_EVERY as f64) as u64)
}

/// The largest singular value of every matrix.
fn norms(params: &[Param]) -> Result<Vec<f64>> {
    let matrices = params.iter().filter(|param| param.value().shape().rank() == 2);
    let norm = |param: &Param| {
        Ok(f64::from(spectral_norm(param.value(), ITERATIONS)?.reshape([])?.item()?))
    };
    matrices.map(norm).collect()
}

/// Time and steps since a moment.
struct Clock {
    start: Instant,
    steps: u64,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now(), steps: 0 }
    }

    /// Of a step; infinite if there was none.
    fn milliseconds(&self) -> f64 {
        1e3 * self.start.elapsed().as_secs_f64() / self.steps as f64
    }
}
