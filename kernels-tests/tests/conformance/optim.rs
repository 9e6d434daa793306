//! Optimizers and global-norm clipping.

use kernels_tests::{Random, conform, oracle, own_subjects, subjects};
use proptest::prelude::*;
use spikegrad::optim::{AdamW, Optimizer, Schedule, Sgd};
use spikegrad::{Device, Error, Gradients, Param, Result, Tape, Tensor};
use std::path::PathBuf;

/// Several parameters' gradients at once, as a training step gives them.
fn step_all(optimizer: &mut dyn Optimizer, params: &[Param], seeds: &[Vec<f32>]) -> Result<()> {
    optimizer.tick()?;
    optimizer.step(&joint(params, seeds)?)
}

/// One backward pass over all parameters: a custom operator that hands out the seeds.
fn joint(params: &[Param], seeds: &[Vec<f32>]) -> Result<Gradients> {
    let tape = Tape::new();
    let leaves: Vec<_> = params.iter().map(|p| tape.param(p)).collect();
    let device = leaves[0].device().clone();
    let given = leaves.iter().zip(seeds);
    let given: Vec<Tensor> =
        given.map(|(l, s)| Tensor::from_slice(&device, s, *l.shape())).collect::<Result<_>>()?;
    let inputs: Vec<_> = leaves.iter().collect();
    let output = Tensor::from_slice(&device, &[0.0f32], [1])?;
    let sum = tape.record_one("seeds", &inputs, output, move |bw| {
        given.into_iter().enumerate().for_each(|(i, g)| bw.give(i, g));
        Ok(())
    })?;
    sum.backward()
}

fn params(device: &Device, values: &[(Vec<f32>, Vec<usize>)]) -> Result<Vec<Param>> {
    let param = |(i, (v, s)): (usize, &(Vec<f32>, Vec<usize>))| {
        Ok(Param::new(format!("p{i}"), Tensor::from_slice(device, v, s)?))
    };
    values.iter().enumerate().map(param).collect()
}

fn random_params(random: &mut Random, shapes: &[Vec<usize>]) -> Vec<(Vec<f32>, Vec<usize>)> {
    let value = |s: &Vec<usize>| (random.values(s.iter().product(), -1.0, 1.0), s.clone());
    shapes.iter().map(value).collect()
}

fn seeds(random: &mut Random, shapes: &[Vec<usize>], steps: usize) -> Vec<Vec<Vec<f32>>> {
    let mut step = || shapes.iter().map(|s| random.values(s.iter().product(), -2.0, 2.0)).collect();
    (0..steps).map(|_| step()).collect()
}

/// Everything that an optimizer changed.
fn outcome(optimizer: &dyn Optimizer, params: &[Param]) -> Vec<Tensor> {
    let state = optimizer.state().into_iter().map(|(_, t)| t);
    params.iter().map(|p| p.value().clone()).chain(state).collect()
}

/// AdamW as in the paper, plainly, in f64.
struct Plain {
    x: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
}

impl Plain {
    fn new(x: &[f32]) -> Self {
        let zeros = vec![0.0; x.len()];
        Self { x: x.iter().map(|v| f64::from(*v)).collect(), m: zeros.clone(), v: zeros }
    }

    fn adamw(&mut self, g: &[f64], t: i32, (b1, b2): (f64, f64), lr: f64, decay: f64) {
        for (i, g) in g.iter().enumerate() {
            self.m[i] = b1 * self.m[i] + (1.0 - b1) * g;
            self.v[i] = b2 * self.v[i] + (1.0 - b2) * g * g;
            let m = self.m[i] / (1.0 - b1.powi(t));
            let v = self.v[i] / (1.0 - b2.powi(t));
            self.x[i] -= lr * decay * self.x[i] + lr * m / (v.sqrt() + 1e-8);
        }
    }

    fn sgd(&mut self, g: &[f64], momentum: f64, nesterov: bool, lr: f64, decay: f64) {
        for (i, g) in g.iter().enumerate() {
            self.v[i] = momentum * self.v[i] + g;
            let update = if nesterov { g + momentum * self.v[i] } else { self.v[i] };
            self.x[i] -= lr * decay * self.x[i] + lr * update;
        }
    }
}

fn assert_near(what: &str, found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = found.to_vec::<f64>().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, element {i}: {a}, not {b}");
    }
}

/// The devices under test and the oracle.
fn everywhere() -> Vec<(String, Device, f64)> {
    let subject = |s: &kernels_tests::Subject| (s.label.clone(), s.device.clone(), 3e-6);
    let oracle = ("oracle".to_string(), oracle().clone(), 2e-8);
    subjects().iter().map(subject).chain([oracle]).collect()
}

#[test]
fn adamw_is_the_papers() {
    let shapes = [vec![7, 13], vec![5], vec![1, 1]];
    let mut random = Random::new(1);
    let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 12));
    let schedule = Schedule::cosine(0.02, 12).warmup(3);
    let clip = 5.0;
    let mut plain: Vec<Plain> = start.iter().map(|(x, _)| Plain::new(x)).collect();
    for (t, seeds) in seeds.iter().enumerate() {
        let norm = seeds.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let factor = clip / norm.max(clip);
        for (i, (plain, seed)) in plain.iter_mut().zip(seeds).enumerate() {
            let g: Vec<f64> = seed.iter().map(|g| f64::from(*g) * factor).collect();
            let (decay, scale) = (if i == 1 { 0.0 } else { 0.3 }, if i == 2 { 0.5 } else { 1.0 });
            let lr = schedule.at(t as u64 + 1) * scale;
            plain.adamw(&g, t as i32 + 1, (0.8, 0.99), lr, decay);
        }
    }
    for (label, device, tolerance) in everywhere() {
        let params = params(&device, &start).unwrap();
        let builder = AdamW::builder().betas(0.8, 0.99).weight_decay(0.3).schedule(schedule);
        let builder = builder.clip_norm(clip).scale_rate(0.5, |p| p.name() == "p2");
        let mut optimizer = builder.build(&params).unwrap();
        for seeds in &seeds {
            step_all(&mut optimizer, &params, seeds).unwrap();
        }
        for (param, plain) in params.iter().zip(&plain) {
            assert_near(&label, param.value(), &plain.x, tolerance);
        }
        assert_eq!((optimizer.steps(), optimizer.skipped().unwrap()), (12, 0));
    }
}

#[test]
fn sgd_is_the_textbooks() {
    let shapes = [vec![11, 3], vec![4]];
    for nesterov in [false, true] {
        let mut random = Random::new(2);
        let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 6));
        for (label, device, tolerance) in everywhere() {
            let params = params(&device, &start).unwrap();
            let builder = Sgd::builder().momentum(0.8).nesterov(nesterov).learning_rate(0.05);
            let mut optimizer = builder.weight_decay(0.1).build(&params).unwrap();
            let mut plain: Vec<Plain> = start.iter().map(|(x, _)| Plain::new(x)).collect();
            for seeds in &seeds {
                step_all(&mut optimizer, &params, seeds).unwrap();
                for (i, (plain, seed)) in plain.iter_mut().zip(seeds).enumerate() {
                    let g: Vec<f64> = seed.iter().map(|g| f64::from(*g)).collect();
                    plain.sgd(&g, 0.8, nesterov, 0.05, if i == 0 { 0.1 } else { 0.0 });
                }
            }
            for (param, plain) in params.iter().zip(&plain) {
                assert_near(&label, param.value(), &plain.x, tolerance);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn devices_agree_with_the_oracle(seed in any::<u64>(), rows in 1usize..90, columns in 1usize..70) {
        let shapes = [vec![rows, columns], vec![columns]];
        let mut random = Random::new(seed);
        let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 3));
        conform("adamw", 2e-5, |device| {
            let params = params(device, &start)?;
            let mut optimizer = AdamW::builder().clip_norm(3.0).build(&params)?;
            for seeds in &seeds {
                step_all(&mut optimizer, &params, seeds)?;
            }
            Ok(outcome(&optimizer, &params))
        });
        conform("sgd", 2e-5, |device| {
            let params = params(device, &start)?;
            let mut optimizer = Sgd::builder().nesterov(true).clip_norm(3.0).build(&params)?;
            for seeds in &seeds {
                step_all(&mut optimizer, &params, seeds)?;
            }
            Ok(outcome(&optimizer, &params))
        });
    }
}

/// More elements than one axis of workgroups holds, and than the chunks of the norm.
#[test]
fn large_parameters() {
    const COUNT: usize = 65_536 * 64 + 17;
    let start = vec![(Random::new(3).values(COUNT, -1.0, 1.0), vec![COUNT])];
    let seeds = vec![Random::new(4).values(COUNT, -1.0, 1.0)];
    conform("large", 2e-5, |device| {
        let params = params(device, &start)?;
        let mut optimizer = AdamW::builder().clip_norm(1.0).build(&params)?;
        step_all(&mut optimizer, &params, &seeds)?;
        Ok(outcome(&optimizer, &params))
    });
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct SquareSum {
    count: u32,
    chunk: u32,
    groups: u32,
    offset: u32,
}

/// The tree of the hardware path, with every workgroup size that it may have.
#[test]
fn norm_in_workgroup_memory() {
    let find = |name| spikegrad::kernels().into_iter().find(|k| k.name == name).unwrap();
    let (square_sum, clip_factor) = (find("square_sum"), find("clip_factor"));
    for (count, chunk) in [(1usize, 4096usize), (4097, 4096), (10_007, 512)] {
        let g = Random::new(count as u64).values(count, -1.0, 1.0);
        for size in [1u32, 64, 256] {
            conform(&format!("norm of {count} by {size}"), 1e-5, |device| {
                let g = Tensor::from_slice(device, &g, [count])?;
                let groups = count.div_ceil(chunk) as u32;
                let partials = Tensor::zeros(device, [groups as usize + 3], spikegrad::DType::F32)?;
                let clip = Tensor::zeros(device, [4], spikegrad::DType::F32)?;
                let (count, chunk) = (count as u32, chunk as u32);
                let params = SquareSum { count, chunk, groups, offset: 3 };
                let launch = device.launch(square_sum).params(&params).constant("WG", size);
                launch.bind(&g).bind(&partials).groups([groups, 1, 1]).record()?;
                let params = [groups + 3, 2.0f32.to_bits()];
                let launch = device.launch(clip_factor).params(&params).constant("WG", size);
                launch.bind(&partials).bind(&clip).record()?;
                Ok(vec![partials, clip])
            });
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_skips_the_step() {
    for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        for subject in subjects() {
            let start = vec![(vec![1.0; 300], vec![300]), (vec![2.0; 5], vec![5])];
            let params = params(&subject.device, &start).unwrap();
            let mut optimizer = AdamW::builder().clip_norm(f64::INFINITY).build(&params).unwrap();
            let good = vec![vec![0.5; 300], vec![0.25; 5]];
            step_all(&mut optimizer, &params, &good).unwrap();
            let norm = (300.0f32 * 0.25 + 5.0 / 16.0).sqrt();
            assert!((optimizer.gradient_norm().unwrap() - norm).abs() < 1e-4 * norm);
            let bits = |t: &Tensor| t.to_vec::<f32>().unwrap();
            let moments =
                |o: &AdamW| o.state()[1..].iter().map(|(_, t)| bits(t)).collect::<Vec<_>>();
            let before = (bits(params[0].value()), bits(params[1].value()), moments(&optimizer));
            let mut bad = good.clone();
            bad[0][77] = fault;
            step_all(&mut optimizer, &params, &bad).unwrap();
            let after = (bits(params[0].value()), bits(params[1].value()), moments(&optimizer));
            assert_eq!(before, after, "{fault} on {}", subject.label);
            assert_eq!((optimizer.skipped().unwrap(), optimizer.steps()), (1, 2));
            step_all(&mut optimizer, &params, &good).unwrap();
            assert_ne!(before.0, bits(params[0].value()), "{}", subject.label);
            assert_eq!(optimizer.skipped().unwrap(), 1);
        }
    }
}

/// A replayed step is the recorded one, and a restored optimizer goes on with the same bits.
#[test]
fn replayed_and_restored_steps_have_the_same_bits() {
    let shapes = [vec![9, 31], vec![31]];
    let mut random = Random::new(5);
    let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 1));
    let bits = |o: &AdamW, p: &[Param]| -> Vec<Vec<u32>> {
        let words = |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
        outcome(o, p).iter().map(words).collect()
    };
    let schedule = Schedule::cosine(0.1, 9).warmup(2);
    let build = |p: &[Param]| AdamW::builder().schedule(schedule).clip_norm(1.0).build(p).unwrap();
    for subject in own_subjects() {
        let device = &subject.device;
        let plain = params(device, &start).unwrap();
        let mut optimizer = build(&plain);
        let mut middle = Vec::new();
        for t in 0..9 {
            step_all(&mut optimizer, &plain, &seeds[0]).unwrap();
            if t == 4 {
                middle = outcome(&optimizer, &plain);
                middle = middle.iter().map(|t| t.duplicate().unwrap()).collect();
            }
        }
        let expected = bits(&optimizer, &plain);

        let replayed = params(device, &start).unwrap();
        let mut other = build(&replayed);
        other.tick().unwrap();
        let step = || other.step(&joint(&replayed, &seeds[0])?);
        let ((), capture) = device.capture(step).unwrap();
        for _ in 1..9 {
            other.tick().unwrap();
            capture.replay().unwrap();
        }
        assert_eq!(bits(&other, &replayed), expected, "replay on {}", subject.label);

        let restored = params(device, &start).unwrap();
        let mut third = build(&restored);
        for (to, from) in outcome(&third, &restored).iter().zip(&middle) {
            to.copy_from(from).unwrap();
        }
        third.set_steps(5);
        for _ in 5..9 {
            step_all(&mut third, &restored, &seeds[0]).unwrap();
        }
        assert_eq!(bits(&third, &restored), expected, "restored on {}", subject.label);
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let param = |name: &str| Param::new(name, Tensor::from_slice(&device, &[1.0f32], [1]).unwrap());
    let one = [param("x")];
    let argument = |e: Result<AdamW>| assert!(matches!(e, Err(Error::Argument { .. })), "{e:?}");
    argument(AdamW::builder().build(&[]));
    argument(AdamW::builder().betas(0.9, 1.0).build(&one));
    argument(AdamW::builder().betas(f64::NAN, 0.9).build(&one));
    argument(AdamW::builder().eps(0.0).build(&one));
    argument(AdamW::builder().weight_decay(-1.0).build(&one));
    argument(AdamW::builder().clip_norm(0.0).build(&one));
    argument(AdamW::builder().learning_rate(f64::INFINITY).build(&one));
    argument(AdamW::builder().build(&[param("x"), param("x")]));
    assert!(Sgd::builder().momentum(1.0).build(&one).is_err());
    let words = Tensor::from_slice(&device, &[1u32], [1]).unwrap();
    let error = AdamW::builder().build(&[Param::new("w", words)]);
    assert!(matches!(error, Err(Error::DType { .. })));
    let other = Tensor::from_slice(&Device::host(), &[1.0f32], [1]).unwrap();
    let error = AdamW::builder().build(&[param("x"), Param::new("y", other)]);
    assert!(matches!(error, Err(Error::DeviceMismatch { .. })));
    let optimizer = AdamW::builder().build(&one).unwrap();
    let early = optimizer.step(&joint(&one, &[vec![1.0]]).unwrap());
    assert!(matches!(early, Err(Error::Argument { .. })));
}

/// The reference case, where it is at hand: `SPIKEGRAD_GOLDEN`, else `../shared/golden` beside the
/// repository.
#[test]
fn adamw_reference_case() {
    let name = "opt_adamw_plain_8x5.json";
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden"));
    let folder = std::env::var_os("SPIKEGRAD_GOLDEN").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        println!("skipped: no {name} in {}", folder.display());
        return;
    };
    let case: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let (start, grads) = (numbers(&case["W0"]), numbers(&case["grads"]));
    let trajectory = numbers(&case["traj"]);
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    let single = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
    for (label, device, _) in everywhere() {
        let start = vec![(single(&start), vec![8, 5])];
        let params = params(&device, &start).unwrap();
        let hyper = &case["hyper"];
        let builder = AdamW::builder().betas(number(&hyper["b1"]), number(&hyper["b2"]));
        let builder = builder.eps(number(&hyper["eps"])).learning_rate(number(&case["lr"]));
        let mut optimizer = builder.weight_decay(number(&case["wd"])).build(&params).unwrap();
        for (grad, expected) in grads.chunks(40).zip(trajectory.chunks(40)) {
            step_all(&mut optimizer, &params, &[single(grad)]).unwrap();
            assert_near(&label, params[0].value(), expected, 1e-5);
        }
    }
}
