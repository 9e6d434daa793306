//! The baseline: logistic regression on the pixels, with the same crate.

use spikegrad::data::Images;
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
use spikegrad::nn::{Layer, Linear, Module, Pass};
use spikegrad::optim::{AdamW, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::TrainStep;
use spikegrad::{Device, Result, Tensor};

/// Steps over all training images together.
const STEPS: u64 = 200;

/// The test accuracy of logistic regression.
pub fn logistic_regression(
    device: &Device,
    train: &Images,
    test: &Images,
    classes: usize,
    seed: u64,
) -> Result<f64> {
    let mut random = Generator::new(device, seed)?;
    let model = Linear::builder(train.features(), classes).build(&mut random)?;
    let schedule = Schedule::cosine(0.05, STEPS);
    let builder = AdamW::builder().schedule(schedule).weight_decay(1e-3);
    let mut step = TrainStep::new(builder.build(&model.params())?, random)?;
    let (pixels, labels) = tensors(device, train)?;
    for _ in 0..STEPS {
        step.run([], |pass, []| {
            let logits = model.forward(&pass.constant(&pixels), pass)?;
            cross_entropy(&logits, &labels, CrossEntropy::default())
        })?;
    }
    let (pixels, labels) = tensors(device, test)?;
    let pass = &mut Pass::evaluation();
    let logits = model.forward(&pass.constant(&pixels), pass)?;
    let hits = accuracy(logits.value(), &labels)?.item()?;
    Ok(f64::from(hits) / test.len().max(1) as f64)
}

/// All images at once.
fn tensors(device: &Device, images: &Images) -> Result<(Tensor, Tensor)> {
    let all: Vec<usize> = (0..images.len()).collect();
    let pixels = Tensor::from_slice(device, &images.pixels(&all)?, [all.len(), images.features()])?;
    let labels = Tensor::from_slice(device, &images.labels(&all)?, [all.len()])?;
    Ok((pixels, labels))
}
