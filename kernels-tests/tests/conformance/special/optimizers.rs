//! Steps along gradients that are not finite, where nothing is asked to skip them.

use super::{Input, WITHOUT_ENDS, faults, input, none, singly, subjects};
use kernels_tests::Subject;
use spikegrad::optim::{
    AdEmaMix, AdamW, Constraint, Dion, Muon, NorMuon, Optimizer, Sgd, Signum, Spam,
};
use spikegrad::spectral::{Polar, SpectralClip};
use spikegrad::{DType, Param, Result, Tape, Tensor, Var, elementwise, kernels, layout};

type Make = fn(&[Param]) -> Result<Box<dyn Optimizer>>;

/// The parameter after two steps along the same gradient.
fn stepped(v: &[Var], make: Make) -> Result<Var> {
    let param = [Param::new("w", elementwise::copy(v[0].value())?)];
    let mut optimizer = make(&param)?;
    for _ in 0..2 {
        let tape = Tape::new();
        optimizer.step(&tape.param(&param[0]).backward_from(v[1].value())?)?;
    }
    Ok(Tape::off().constant(param[0].value()))
}

/// What is wrong for parameters of these shapes. Squares of 3e38 are beyond f32.
fn check(what: &str, shapes: &[&'static [usize]], make: Make) -> Vec<String> {
    let of = |shape: &&'static [usize]| -> [Input; 2] {
        [input(shape, -1.0, 1.0), input(shape, 0.5, 1.5)]
    };
    let run = |x: [Input; 2]| faults(what, &WITHOUT_ENDS, 1e-4, &x, |v| stepped(v, make));
    shapes.iter().map(of).flat_map(run).collect()
}

#[test]
pub(super) fn rules_of_elements() {
    let rules: [(&str, Make); 8] = [
        ("sgd", |p| Ok(Box::new(Sgd::builder().build(p)?))),
        ("nesterov", |p| Ok(Box::new(Sgd::builder().momentum(0.9).nesterov(true).build(p)?))),
        ("adamw", |p| Ok(Box::new(AdamW::builder().weight_decay(0.1).build(p)?))),
        ("skipping", |p| Ok(Box::new(AdamW::builder().clip_norm(1.0).build(p)?))),
        ("ademamix", |p| {
            let inside = Constraint::Box { low: 0.0, high: 1.0 };
            Ok(Box::new(AdEmaMix::builder().constraint(inside).build(p)?))
        }),
        ("signum", |p| Ok(Box::new(Signum::builder().build(p)?))),
        ("spam", |p| Ok(Box::new(Spam::builder().density(0.5, 7).build(p)?))),
        ("orthogonal", |p| Ok(Box::new(AdamW::builder().orthogonal(true).build(p)?))),
    ];
    let check = |(what, make)| check(what, &[&[12, 16], &[11, 13]], make);
    none(&rules.into_iter().flat_map(check).collect::<Vec<_>>());
}

/// Without decay a parameter moves by its direction alone, be it infinite.
#[test]
fn infinite_parameters() {
    let rules: [Make; 3] = [
        |p| Ok(Box::new(AdamW::builder().weight_decay(0.0).build(p)?)),
        |p| Ok(Box::new(Muon::builder().weight_decay(0.0).build(p)?)),
        |p| {
            let clip = SpectralClip::new(1.0);
            Ok(Box::new(AdamW::builder().weight_decay(0.0).post_clip(clip).build(p)?))
        },
    ];
    let mut x = [1.0f32; 12 * 16];
    x[17] = f32::NEG_INFINITY;
    for (make, Subject { label, device }) in
        rules.into_iter().flat_map(|r| subjects().iter().map(move |s| (r, s)))
    {
        let tensor =
            |x: &[f32]| Tape::off().constant(&Tensor::from_slice(device, x, [12, 16]).unwrap());
        let found = stepped(&[tensor(&x), tensor(&[0.5; 12 * 16])], make).unwrap();
        let found = found.value().to_vec::<f32>().unwrap();
        let right = |(i, v): (usize, &f32)| if i == 17 { *v == x[17] } else { v.is_finite() };
        assert!(found.iter().enumerate().all(right), "{label}: {found:?}");
    }
}

spikegrad::params! {
    struct Neurons {
        count: u32,
        beta: f32,
        rest: f32,
    }
}

/// The factors of neurons, and their moments, from mean squares.
#[test]
pub(super) fn factors_of_neurons() {
    let kernel = kernels().into_iter().find(|k| k.name == "neuron_factors").expect("a kernel");
    let x = [input(&[12], 0.5, 1.5), input(&[12], 0.5, 1.5)];
    let factors = |v: &[Var]| {
        let (q, moments) = (v[0].value(), elementwise::copy(v[1].value())?);
        let found = Tensor::zeros(q.device(), [12], DType::F32)?;
        let launch = q.device().launch(kernel).params(&Neurons { count: 12, beta: 0.9, rest: 0.1 });
        let clip = Tensor::zeros(q.device(), [4], DType::F32)?;
        let launch = launch.bind("q", q).bind("clip", &clip).bind("v", &moments);
        launch.bind("factors", &found).workgroups(1).record()?;
        Ok(Tape::off().constant(&layout::concat_tensors(&[&found, &moments], 0)?))
    };
    // Sums of products with 3e38 are beyond f32.
    none(&singly("factors", &WITHOUT_ENDS, 1e-5, &x, factors));
    let mut q = [1.0f32; 12];
    q[3] = f32::NAN;
    for Subject { label, device } in subjects() {
        let leaf = |x: &[f32]| Tape::off().constant(&Tensor::from_slice(device, x, [12]).unwrap());
        let found = factors(&[leaf(&q), leaf(&[1.0; 12])]).unwrap().value().to_vec::<f32>();
        assert!(found.unwrap()[..12].iter().all(|f| f.is_nan()), "{label}: one sum for all");
    }
}

/// What is not finite makes a direction of zeros, which decay alone moves.
#[test]
pub(super) fn rules_of_matrices() {
    let rules: [(&str, Make); 5] = [
        ("muon", |p| {
            Ok(Box::new(Muon::builder().weight_decay(0.1).skip_non_finite(false).build(p)?))
        }),
        ("normuon", |p| Ok(Box::new(NorMuon::builder().skip_non_finite(false).build(p)?))),
        ("dion", |p| Ok(Box::new(Dion::builder().skip_non_finite(false).build(p)?))),
        ("half", |p| {
            let polar = Polar::muon(3).storage(DType::F16);
            Ok(Box::new(Muon::builder().polar(polar).skip_non_finite(false).build(p)?))
        }),
        ("clipped", |p| {
            let clip = SpectralClip::new(1.0);
            let builder = AdamW::builder().pre_clip(clip.clone()).post_clip(clip);
            Ok(Box::new(builder.skip_non_finite(false).build(p)?))
        }),
    ];
    let check = |(what, make)| check(what, &[&[12, 16], &[36, 65]], make);
    none(&rules.into_iter().flat_map(check).collect::<Vec<_>>());
}
