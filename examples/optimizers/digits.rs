//! A small spiking network on handwritten digits.

use super::common::Options;
use super::problem::{Learner, Problem, Score};
use spikegrad::data::{Batches, Images, Split, digits};
use spikegrad::lif::{Lif, Reset, Spikes};
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
use spikegrad::nn::{Layer, LifLayer, Linear, Module, Pass};
use spikegrad::random::Generator;
use spikegrad::{Device, Param, Result, Tensor, Var};

/// Images of a step.
const BATCH: usize = 64;
/// Hidden neurons.
const HIDDEN: usize = 128;
/// Time steps of an image.
const STEPS: usize = 8;
/// At most so many images are used; of these, one part of `PARTS` validates.
const MOST: usize = 6000;
const PARTS: usize = 6;

/// Digits to train on and digits to validate with, both from the training images: the test images
/// are left alone.
pub struct DigitProblem {
    device: Device,
    data: Split,
}

impl DigitProblem {
    pub fn new(options: &Options) -> Result<Self> {
        let mut data = match &options.data {
            Some(path) => Split::folder(path)?,
            None => digits()?,
        };
        data.train = data.train.first(MOST);
        Ok(Self { device: options.device.clone(), data: data.validation(0, PARTS)? })
    }
}

impl Problem for DigitProblem {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn describe(&self) -> String {
        let Split { name, train, test } = &self.data;
        format!(
            "digits: {name}, {} images to train on, {} to validate with; {} pixels, {HIDDEN} LIF \
             neurons, {STEPS} time steps, membranes read out; {BATCH} images a step",
            train.len(),
            test.len(),
            train.features()
        )
    }

    fn steps(&self) -> u64 {
        400
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn start(&self, seed: u64) -> Result<Box<dyn Learner + '_>> {
        let train = &self.data.train;
        let random = &mut Generator::new(&self.device, seed)?;
        let neuron = Lif::new().tau(2.0).reset(Reset::Soft);
        let readout = neuron.reset(Reset::None).threshold(f32::MAX);
        let linear = |inputs, outputs, random: &mut Generator| {
            Linear::builder(inputs, outputs).gain(2.0).build(random)
        };
        let batches = Batches::new(train.len(), BATCH, seed);
        Ok(Box::new(DigitLearner {
            problem: self,
            first: linear(train.features(), HIDDEN, random)?,
            hidden: LifLayer::new(neuron.output(Spikes::Bits)),
            second: linear(HIDDEN, train.classes(), random)?,
            output: LifLayer::new(readout),
            order: Vec::new(),
            batches,
        }))
    }
}

struct DigitLearner<'a> {
    problem: &'a DigitProblem,
    first: Linear,
    hidden: LifLayer,
    second: Linear,
    output: LifLayer,
    batches: Batches,
    /// The batches of the epoch at hand.
    order: Vec<Vec<usize>>,
}

spikegrad::module!(DigitLearner<'_> { first, second });

impl DigitLearner<'_> {
    /// The last membranes of the readout, `[B, classes]`.
    fn logits(&self, pixels: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let current = self.first.forward(&pass.constant(pixels), pass)?.repeat_steps(STEPS)?;
        let spikes = self.hidden.forward(&current, pass)?;
        Ok(self.output.scan(&self.second.forward(&spikes, pass)?, None)?.state)
    }

    fn upload(&self, images: &Images, chosen: &[usize]) -> Result<[Tensor; 2]> {
        let device = &self.problem.device;
        let (pixels, labels) = (images.pixels(chosen)?, images.labels(chosen)?);
        let pixels = Tensor::from_slice(device, &pixels, [chosen.len(), images.features()])?;
        Ok([pixels, Tensor::from_slice(device, &labels, [chosen.len()])?])
    }
}

impl Learner for DigitLearner<'_> {
    fn params(&self) -> Vec<Param> {
        Module::params(self)
    }

    fn batch(&mut self, step: u64) -> Result<[Tensor; 2]> {
        let count = self.batches.count().max(1) as u64;
        let place = (step % count) as usize;
        if place == 0 || self.order.is_empty() {
            self.order = self.batches.epoch(step / count);
        }
        self.upload(&self.problem.data.train, &self.order[place])
    }

    fn loss(&self, [pixels, labels]: [&Tensor; 2], pass: &mut Pass<'_>) -> Result<Var> {
        cross_entropy(&self.logits(pixels, pass)?, labels, CrossEntropy::default())
    }

    fn validate(&self, all: bool) -> Result<Score> {
        let images = &self.problem.data.test;
        let count = if all { images.len() } else { images.len().min(500) };
        let chosen: Vec<usize> = (0..count).collect();
        let (mut nats, mut hits) = (0.0, 0.0);
        for chosen in chosen.chunks(500) {
            let [pixels, labels] = self.upload(images, chosen)?;
            let logits = self.logits(&pixels, &mut Pass::evaluation())?;
            let loss = cross_entropy(&logits, &labels, CrossEntropy::default())?;
            nats += f64::from(loss.value().item()?) * chosen.len() as f64;
            hits += f64::from(accuracy(logits.value(), &labels)?.item()?);
        }
        let count = count.max(1) as f64;
        Ok(Score { loss: nats / count, accuracy: Some(hits / count) })
    }
}
