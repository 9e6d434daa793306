//! One step of every optimizer over a model of ten million parameters: bytes per second next to the
//! copy kernel, and launches.

use crate::harness::{Row, Suite};
use crate::input;
use spikegrad::optim::{
    AdEmaMix, Adam, AdamW, Constraint, Dion, Muon, NorMuon, Optimizer, Sgd, Signum, Spam,
};
use spikegrad::spectral::{Form, SpectralClip, Steps};
use spikegrad::{DType, Device, Gradients, Param, Result, Tape, Tensor};
use std::time::Instant;

type Maker = fn(&[Param]) -> Result<Box<dyn Optimizer>>;

/// The elementwise ones, then those with matrix iterations, which are bound by arithmetic.
const MAKERS: &[(&str, Maker)] = &[
    ("sgd", |p| boxed(Sgd::builder().build(p))),
    ("adam", |p| boxed(Adam::builder().build(p))),
    ("adamw", |p| boxed(AdamW::builder().build(p))),
    ("adamw skip_non_finite", |p| boxed(AdamW::builder().skip_non_finite(true).build(p))),
    ("adamw clip_norm", |p| boxed(AdamW::builder().clip_norm(1.0).build(p))),
    ("adamw orthogonal", |p| boxed(AdamW::builder().orthogonal(true).build(p))),
    ("adamw companding", |p| {
        let constraint = Constraint::Compand { a: 1.0, b: 1.0 };
        boxed(AdamW::builder().constraint(constraint).build(p))
    }),
    ("signum", |p| boxed(Signum::builder().build(p))),
    ("ademamix", |p| boxed(AdEmaMix::builder().warmup(100).build(p))),
    ("spam", |p| boxed(Spam::builder().build(p))),
    ("spam sparse", |p| boxed(Spam::builder().density(0.5, 1).build(p))),
    ("muon", |p| boxed(Muon::builder().build(p))),
    ("moonlight", |p| boxed(Muon::builder().moonlight(true).build(p))),
    ("normuon", |p| boxed(NorMuon::builder().build(p))),
    ("dion", |p| boxed(Dion::builder().build(p))),
    ("spectra adamw", |p| boxed(AdamW::builder().post_clip(SpectralClip::new(10.0)).build(p))),
    ("spectra adamw minimax", |p| {
        let clip = SpectralClip::new(10.0).form(Form::Minimax).steps(Steps::Fixed(4));
        boxed(AdamW::builder().post_clip(clip).build(p))
    }),
    ("spectra pre adamw", |p| boxed(AdamW::builder().pre_clip(SpectralClip::new(0.1)).build(p))),
    ("spectra both adamw", |p| {
        let clipped = AdamW::builder().pre_clip(SpectralClip::new(0.1));
        boxed(clipped.post_clip(SpectralClip::new(5.0)).build(p))
    }),
];

fn boxed(optimizer: Result<impl Optimizer + 'static>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(optimizer?))
}

/// Layers of `width`: ten million parameters, or one million where it has to be quick.
fn shapes(quick: bool) -> Vec<Vec<usize>> {
    let (width, layers) = if quick { (256, 4) } else { (512, 10) };
    let layer = [vec![width, width], vec![width], vec![width, 3 * width]];
    (0..layers).flat_map(|_| layer.clone()).collect()
}

pub fn measure(suite: &mut Suite) {
    let shapes = shapes(suite.options.quick);
    let count: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
    let shape = format!("{:.1}M parameters", count as f64 / 1e6);
    for (name, make) in MAKERS {
        let rows = suite.case("optim", name, &format!("{name}, {shape}"), |device| {
            let (params, gradients) = model(device, &shapes)?;
            let mut optimizer = make(&params)?;
            Ok(move || optimizer.step(&gradients))
        });
        if rows.is_empty() {
            continue;
        }
        let sum = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
        let (time, bytes, flops) = (sum(|r| r.fastest), sum(|r| r.bytes), sum(|r| r.flops));
        let launches: usize = rows.iter().map(|row| row.launches).sum();
        let copy = suite.roofline.bandwidth(bytes);
        suite.figure(format!("optim {name}: kernels of a step"), time / 1e6, "ms");
        match wall(suite, &shapes, *make) {
            Ok(wall) => suite.figure(format!("optim {name}: a step"), wall / 1e6, "ms"),
            Err(e) => suite.fail(name, &e),
        }
        suite.figure(format!("optim {name}: bytes"), bytes / time, "GB/s");
        suite.figure(format!("optim {name}: of a copy's bytes"), bytes / time / copy, "");
        if flops > 20.0 * bytes {
            suite.figure(format!("optim {name}: operations"), flops / time, "GFLOP/s");
        }
        suite.figure(format!("optim {name}: launches"), launches as f64, "launches");
    }
}

/// The shortest time of a whole step, with all that records it.
fn wall(suite: &Suite, shapes: &[Vec<usize>], make: Maker) -> Result<f64> {
    let (params, gradients) = model(&suite.device, shapes)?;
    let mut optimizer = make(&params)?;
    let times = suite.effort().repeat(|| {
        let start = Instant::now();
        optimizer.step(&gradients)?;
        suite.device.wait()?;
        Ok(start.elapsed().as_nanos() as f64)
    })?;
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}

/// Parameters with their gradients.
fn model(device: &Device, shapes: &[Vec<usize>]) -> Result<(Vec<Param>, Gradients)> {
    let tape = Tape::new();
    let (mut params, mut given) = (Vec::new(), Vec::new());
    for (i, shape) in shapes.iter().enumerate() {
        params.push(Param::new(format!("p{i}"), input::scaled_normal(device, shape, 0.02)?));
        given.push(input::scaled_normal(device, shape, 1e-3)?);
    }
    let leaves: Vec<_> = params.iter().map(|param| tape.param(param)).collect();
    let sum = Tensor::zeros(device, [1], DType::F32)?;
    let sum = tape.record_one("gradients", &leaves.iter().collect::<Vec<_>>(), sum, move |bw| {
        given.into_iter().enumerate().for_each(|(i, gradient)| bw.give(i, gradient));
        Ok(())
    })?;
    Ok((params, sum.backward()?))
}
