//! The training run, and checkpoints to go on from.

use crate::common::Settings;
use crate::edges::{FIELDS, with_edges};
use crate::network::{Network, Outputs};
use spikegrad::checkpoint::Checkpoint;
use spikegrad::data::{Batches, Images, Warp};
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
use spikegrad::nn::{Module, Pass};
use spikegrad::optim::{AdamW, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::{Numbers, StepLoss, TrainStep};
use spikegrad::{Device, Result, Tensor};
use std::path::Path;

/// What does not change during a run.
pub struct Plan {
    pub batches: Batches,
    pub epochs: u64,
    pub rate: f64,
    pub decay: f64,
    pub smoothing: f32,
    pub warp: Warp,
    pub edges: bool,
    pub seed: u64,
    /// What a checkpoint must agree with.
    pub settings: Settings,
}

/// Where a test image is looked at, in rows and columns: the logits of all views are added up. A
/// digit is the same half a pixel further on.
pub const VIEWS: [[f64; 2]; 9] = [
    [0.0, 0.0],
    [0.0, 0.5],
    [0.0, -0.5],
    [0.5, 0.0],
    [0.5, 0.5],
    [0.5, -0.5],
    [-0.5, 0.0],
    [-0.5, 0.5],
    [-0.5, -0.5],
];

/// One point of the learning curve.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    pub loss: f64,
    pub train: f64,
    pub test: f64,
}

impl Plan {
    /// Inputs of the network for one of these images.
    pub fn features(&self, images: &Images) -> usize {
        images.features() * if self.edges { FIELDS } else { 1 }
    }

    /// What the network sees of pixels.
    fn input(&self, pixels: Vec<f32>, images: &Images) -> Vec<f32> {
        if self.edges { with_edges(&pixels, images.size()) } else { pixels }
    }
}

/// A network in training.
pub struct Training<'a> {
    pub network: Network,
    pub history: Vec<Epoch>,
    plan: &'a Plan,
    images: &'a Images,
    /// Inputs of the network for an image.
    features: usize,
    step: TrainStep<AdamW>,
}

impl<'a> Training<'a> {
    /// A run at its start. `random` has drawn the weights.
    pub fn new(
        plan: &'a Plan,
        network: Network,
        images: &'a Images,
        random: Generator,
    ) -> Result<Self> {
        let features = plan.features(images);
        let steps = plan.epochs * plan.batches.count() as u64;
        let schedule = Schedule::cosine(plan.rate, steps).warmup(steps / 20);
        let optimizer = AdamW::builder().schedule(schedule).clip_norm(1.0).weight_decay(plan.decay);
        let optimizer = optimizer.build(&network.params())?;
        let step = TrainStep::new(optimizer, random)?;
        Ok(Self { network, history: Vec::new(), plan, images, features, step })
    }

    fn device(&self) -> &Device {
        self.step.device()
    }

    /// Epochs done.
    pub fn epoch(&self) -> u64 {
        self.history.len() as u64
    }

    /// Runs one epoch over the training images and tests.
    pub fn run_epoch(&mut self, test: &Images, mut each: impl FnMut()) -> Result<Epoch> {
        let (mut loss, mut hits, mut seen) = (0.0, 0.0, 0);
        let mut add = |numbers: Option<Numbers>| -> Result<()> {
            let Some(numbers) = numbers else { return Ok(()) };
            loss += f64::from(numbers.loss());
            hits += f64::from(numbers.get("hits")?);
            Ok(())
        };
        for batch in self.plan.batches.epoch(self.epoch()) {
            add(self.run_step(&batch)?)?;
            seen += batch.len();
            each();
        }
        add(self.step.finish()?)?;
        let steps = self.plan.batches.count().max(1) as f64;
        let train = hits / seen.max(1) as f64;
        let epoch =
            Epoch { loss: loss / steps, train, test: self.test(test, &VIEWS[..1])?.accuracy };
        self.history.push(epoch);
        Ok(epoch)
    }

    /// One step; the numbers of the one before.
    fn run_step(&mut self, batch: &[usize]) -> Result<Option<Numbers>> {
        let Plan { warp, seed, smoothing, .. } = self.plan;
        let pixels = warp.pixels(self.images, batch, *seed, self.epoch())?;
        let pixels = self.plan.input(pixels, self.images);
        let pixels = Tensor::from_slice(self.device(), &pixels, [batch.len(), self.features])?;
        let labels = self.images.labels(batch)?;
        let labels = Tensor::from_slice(self.device(), &labels, [batch.len()])?;
        self.step.run([&pixels, &labels], |pass, [pixels, labels]| {
            let logits = self.network.forward(pixels, pass)?.logits;
            let options = CrossEntropy { smoothing: *smoothing, ..CrossEntropy::default() };
            let loss = cross_entropy(&logits, labels, options)?;
            Ok(StepLoss::new(loss).with("hits", &accuracy(logits.value(), labels)?))
        })
    }

    /// Runs the network over all images of `test`, each from all `views`.
    pub fn test(&self, test: &Images, views: &[[f64; 2]]) -> Result<Test> {
        let device = self.device();
        // Draws of its own, the same at every call.
        let mut random = Generator::new(device, self.plan.seed ^ 0x7E57)?;
        let all: Vec<usize> = (0..test.len()).collect();
        let mut hits = 0.0;
        let mut spikes = Vec::new();
        for chunk in all.chunks(500) {
            let labels = Tensor::from_slice(device, &test.labels(chunk)?, [chunk.len()])?;
            let mut seen: Option<Outputs> = None;
            for view in views {
                let input = self.plan.input(test.moved(chunk, *view)?, test);
                let pixels = Tensor::from_slice(device, &input, [chunk.len(), self.features])?;
                let pass = &mut Pass::evaluation().draws(&mut random);
                let outputs = self.network.forward(&pixels, pass)?;
                random.advance()?;
                seen = Some(match seen {
                    None => outputs,
                    Some(Outputs { logits, hidden }) => {
                        Outputs { logits: logits.add(&outputs.logits)?, hidden }
                    }
                });
            }
            let Some(Outputs { logits, hidden }) = seen else { continue };
            hits += f64::from(accuracy(logits.value(), &labels)?.item()?);
            spikes.push(hidden.value().clone());
        }
        Ok(Test { accuracy: hits / test.len().max(1) as f64, spikes })
    }

    /// Saves everything that the rest of the run depends on, after an epoch.
    pub fn save(&self, path: &Path) -> Result<()> {
        let numbers = |e: &Epoch| format!("{} {} {}", e.loss, e.train, e.test);
        let history: Vec<String> = self.history.iter().map(numbers).collect();
        let file = self.step.checkpoint(Checkpoint::new().params(&self.network.saved()))?;
        self.plan.settings.noted(file.note("history", history.join("\n"))).save(path)
    }

    /// Goes on from a saved state.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        self.plan.settings.check(&Checkpoint::notes(path)?, path)?;
        let notes = self.step.resume(path, &self.network)?;
        let history = notes.parse::<String>("history")?;
        let number = |text: Option<&str>| text.and_then(|t| t.parse().ok()).unwrap_or(f64::NAN);
        let epoch = |line: &str| {
            let mut parts = line.split(' ');
            let [loss, train, test] = [(); 3].map(|()| number(parts.next()));
            Epoch { loss, train, test }
        };
        self.history = history.lines().map(epoch).collect();
        Ok(())
    }
}

/// The outcome of a test.
pub struct Test {
    pub accuracy: f64,
    /// Hidden spikes `[T, B, hidden]` of each chunk, in the first view.
    pub spikes: Vec<Tensor>,
}

impl Test {
    /// The part of hidden neurons that fire at a step.
    pub fn spike_rate(&self) -> Result<f64> {
        let (mut fired, mut all) = (0, 0);
        for spikes in &self.spikes {
            let spikes = spikes.to_bools()?;
            fired += spikes.iter().filter(|s| **s).count();
            all += spikes.len();
        }
        Ok(fired as f64 / all.max(1) as f64)
    }
}
