//! A spiking network on handwritten digits: `cargo run --example train_digits [-- --data FOLDER]`
use spikegrad::data::{Batches, Images, Split, digits};
use spikegrad::lif::{Lif, Spikes};
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
use spikegrad::nn::{Layer, LifLayer, Linear, Map, Module, Pass, Sequential};
use spikegrad::optim::AdamW;
use spikegrad::{Device, Result, Tensor, random::Generator, train::Fit, train::TrainStep};

fn main() -> Result<()> {
    let folder = std::env::args().skip_while(|a| a != "--data").nth(1);
    let Split { train, test, .. } = folder.map_or_else(digits, Split::folder)?;
    let device = Device::best()?;
    let mut random = Generator::new(&device, 0)?;
    let net = Sequential::new()
        .and(Linear::builder(train.features(), 256).gain(2.0).build(&mut random)?)
        .and(Map::new(|x| x.repeat_steps(8))) // the same current at 8 time steps
        .and(LifLayer::new(Lif::new().tau(2.0).output(Spikes::Bits)))
        .and(Linear::builder(256, train.classes()).gain(2.0).build(&mut random)?)
        .and(Map::new(|x| x.mean(&[0], false)));
    let batches = Batches::new(train.len(), 64, 0);
    let adam = AdamW::builder().learning_rate(0.005).clip_norm(1.0).build(&net.params())?;
    let tensors = |images: &Images, chosen: &[usize]| {
        let (pixels, labels) = (images.pixels(chosen)?, images.labels(chosen)?);
        let pixels = Tensor::from_slice(&device, &pixels, [chosen.len(), images.features()])?;
        Ok([pixels, Tensor::from_slice(&device, &labels, [chosen.len()])?])
    };
    let [pixels, labels] = tensors(&test, &(0..test.len()).collect::<Vec<_>>())?;
    let logits = |pixels: &Tensor, pass: &mut Pass<'_>| net.forward(&pass.constant(pixels), pass);
    let wrong = || {
        let hits = accuracy(logits(&pixels, &mut Pass::evaluation())?.value(), &labels)?;
        Ok(1.0 - f64::from(hits.item()?) / test.len() as f64)
    };
    let mut step = TrainStep::new(adam, random)?;
    let batches = |e| Ok(batches.epoch(e).into_iter().map(|batch| tensors(&train, &batch)));
    let loss = |pass: &mut Pass<'_>, [x, y]: [&Tensor; 2]| {
        cross_entropy(&logits(x, pass)?, y, CrossEntropy::default())
    };
    Fit::new(10).run((&mut step, &net), batches, loss, wrong, |epoch| println!("{epoch}"))?;
    Ok(())
}
