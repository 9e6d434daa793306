//! Conformance of the `random` family.

use kernels_tests::{Random, oracle, own_subjects, subjects};
use proptest::prelude::*;
use spikegrad::random::{Generator, GeneratorState, threefry};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Real, Result, Tape, Tensor};

/// The bits of a tensor, whatever its type.
fn bits_of(tensor: &Tensor) -> Vec<u32> {
    match tensor.dtype() {
        DType::Bits => tensor.to_bools().unwrap().into_iter().map(u32::from).collect(),
        DType::U32 => tensor.to_vec::<u32>().unwrap(),
        _ => tensor.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect(),
    }
}

/// Asserts that `program` gives the same bits on the oracle and on every device under test.
fn same_bits(what: &str, program: impl Fn(&Device) -> Result<Vec<Tensor>>) {
    let run = |device: &Device| -> Vec<Vec<u32>> {
        program(device).unwrap_or_else(|e| panic!("{what}: {e}")).iter().map(bits_of).collect()
    };
    let expected = run(oracle());
    for s in subjects() {
        for (i, (found, expected)) in run(&s.device).iter().zip(&expected).enumerate() {
            let place = found.iter().zip(expected).position(|(a, b)| a != b);
            assert_eq!(place, None, "{what}: output {i} on {} differs there", s.label);
            assert_eq!(found.len(), expected.len());
        }
    }
}

#[test]
fn words_are_those_of_threefry() {
    // A uniform number is the upper 24 bits of the word, under a key made of the seed.
    let key = threefry([0x89ab_cdef, 0x0123_4567], [0, 0]);
    for s in subjects() {
        let state = GeneratorState { seed: 0x0123_4567_89ab_cdef, step: 5 };
        let mut random = Generator::restore(&s.device, state).unwrap();
        for stream in 0..2 {
            let found = random.uniform([7]).unwrap().to_vec::<f32>().unwrap();
            for (e, found) in found.into_iter().enumerate() {
                let counter = [(e / 2) as u32, 5];
                let word = threefry([key[0], key[1].wrapping_add(stream)], counter)[e % 2];
                assert_eq!(found, (word >> 8) as f32 / 16_777_216.0, "{} {e}", s.label);
            }
        }
    }
}

#[test]
fn the_same_bits_on_every_device() {
    for shape in [&[1][..], &[2], &[33, 7], &[70, 3, 5], &[0, 3], &[1_000_003]] {
        let count: usize = shape.iter().product();
        let chances = Random::new(3).values(shape.iter().skip(1).product(), -0.2, 1.2);
        same_bits(&format!("draws of {shape:?}"), |device| {
            let mut random = Generator::new(device, count as u64)?;
            let mut all = Vec::new();
            for _ in 0..2 {
                let p = Tensor::from_slice(device, &chances, &shape[1..])?;
                all.push(random.uniform(shape)?);
                all.push(random.normal(shape)?);
                for dtype in [DType::F32, DType::Bits] {
                    all.push(random.bernoulli(0.3, shape, dtype)?);
                    all.push(random.bernoulli_each(&p, shape, dtype)?);
                }
                random.advance()?;
            }
            Ok(all)
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn the_same_bits_for_any_seed(seed: u64, step: u32, count in 1usize..3000, p in 0f32..=1.0) {
        same_bits("draws", |device| {
            let mut random = Generator::restore(device, GeneratorState { seed, step })?;
            Ok(vec![
                random.uniform([count])?,
                random.normal([count])?,
                random.bernoulli(p, [count], DType::Bits)?,
            ])
        });
    }
}

/// A million draws on each device, in f64.
fn million(draw: impl Fn(&mut Generator) -> Result<Tensor>) -> Vec<Vec<f64>> {
    let draws = |s: &kernels_tests::Subject| {
        let mut random = Generator::new(&s.device, 20_261_125).unwrap();
        draw(&mut random).unwrap().to_vec::<f64>().unwrap()
    };
    subjects().iter().map(draws).collect()
}

/// The largest distance between the distribution of `draws` and `cdf`.
fn kolmogorov(draws: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = draws.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        let p = cdf(*x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    sorted.iter().enumerate().map(gap).fold(0.0, f64::max)
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * (1.0 + Real::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

#[test]
fn uniform_is_uniform() {
    for draws in million(|r| r.uniform([1_000_000])) {
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        // 1.63 / sqrt(n) is the quantile at 1 %.
        let distance = kolmogorov(&draws, |x| x.clamp(0.0, 1.0));
        assert!(distance < 1.63e-3, "{distance}");
        // Neighbours are the two words of a block: no correlation.
        let pairs = draws.chunks(2).map(|p| (p[0] - 0.5) * (p[1] - 0.5)).sum::<f64>();
        assert!((pairs / 500_000.0 * 12.0).abs() < 4.0 / 500_000f64.sqrt());
    }
}

#[test]
fn normal_is_normal() {
    let n = 1_000_000.0f64;
    for draws in million(|r| r.normal([1_000_000])) {
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / n;
        let (mean, variance, kurtosis) = (moment(1), moment(2), moment(4));
        println!("mean {mean:e}, variance {variance}, fourth moment {kurtosis}");
        // Four standard deviations of each estimate: var x = 1, var x^2 = 2, var x^4 = 96.
        assert!(mean.abs() < 4.0 / n.sqrt(), "mean {mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "variance {variance}");
        assert!((kurtosis - 3.0).abs() < 4.0 * (96.0 / n).sqrt(), "fourth moment {kurtosis}");
        let distance = kolmogorov(&draws, normal_cdf);
        println!("Kolmogorov distance {distance:e}");
        assert!(distance < 1.63e-3, "{distance}");
        for z in [1.0, 2.0, 3.0, 4.0] {
            let expected = 2.0 * normal_cdf(-z) * n;
            let found = draws.iter().filter(|x| x.abs() > z).count() as f64;
            assert!((found - expected).abs() < 4.0 * expected.sqrt(), "{z}: {found}, {expected}");
        }
        assert!(draws.iter().all(|x| x.abs() < 6.4));
    }
}

#[test]
fn bernoulli_has_its_rate() {
    for p in [0.0f32, 0.03, 0.5, 0.9, 1.0] {
        for draws in million(|r| r.bernoulli(p, [1_000_000], DType::F32)) {
            let rate = draws.iter().sum::<f64>() / 1e6;
            let deviation = (f64::from(p) * (1.0 - f64::from(p)) / 1e6).sqrt();
            assert!((rate - f64::from(p)).abs() <= 4.0 * deviation, "{p}: {rate}");
        }
    }
}

#[test]
fn bits_are_the_same_draws_as_floats() {
    for s in subjects() {
        let chances = Tensor::from_slice(&s.device, &[0.2f32, 0.5, 0.9], [3]).unwrap();
        let draw = |dtype| {
            let mut random = Generator::new(&s.device, 1).unwrap();
            let a = random.bernoulli(0.4, [45, 3], dtype).unwrap();
            let b = random.bernoulli_each(&chances, [45, 3], dtype).unwrap();
            [a, b]
        };
        for (floats, bits) in draw(DType::F32).iter().zip(&draw(DType::Bits)) {
            let floats: Vec<bool> =
                floats.to_vec::<f32>().unwrap().iter().map(|v| *v == 1.0).collect();
            assert_eq!(floats, bits.to_bools().unwrap(), "{}", s.label);
        }
    }
}

#[test]
fn many_elements() {
    // More than 65,535 workgroups of 256 blocks of two.
    let count = 65_536 * 512 - 1;
    for s in subjects().iter().filter(|s| !s.device.is_host()) {
        let mut random = Generator::new(&s.device, 2).unwrap();
        let found = random.bernoulli(0.5, [count], DType::F32).unwrap().to_vec::<f32>().unwrap();
        let ones = found[count - 1000..].iter().filter(|v| **v == 1.0).count();
        assert!((400..600).contains(&ones), "{}: {ones}", s.label);
        assert!(found.iter().all(|v| *v == 0.0 || *v == 1.0), "{}", s.label);
    }
}

#[test]
fn steps_and_streams_differ_and_can_be_restored() {
    for s in subjects() {
        let mut random = Generator::new(&s.device, 9).unwrap();
        let draw = |r: &mut Generator| bits_of(&r.uniform([100]).unwrap());
        let (a, b) = (draw(&mut random), draw(&mut random));
        random.advance().unwrap();
        let state = random.state().unwrap();
        assert_eq!(state, GeneratorState { seed: 9, step: 1 });
        let (c, d) = (draw(&mut random), draw(&mut random));
        let all = [&a, &b, &c, &d];
        for i in 0..4 {
            for j in 0..i {
                assert_ne!(all[i], all[j], "{}", s.label);
            }
        }
        let mut again = Generator::restore(&s.device, state).unwrap();
        assert_eq!([draw(&mut again), draw(&mut again)], [c, d], "{}", s.label);
        let mut other = Generator::new(&s.device, 10).unwrap();
        assert_ne!(draw(&mut other), a);
    }
}

#[test]
fn a_replayed_step_draws_anew() {
    for subject in own_subjects() {
        let device = subject.device;
        let mut random = Generator::new(&device, 4).unwrap();
        let x = Tensor::from_slice(&device, &[1.0f32; 300], [300]).unwrap();
        let step = |random: &mut Generator| -> Result<[Tensor; 2]> {
            let tape = Tape::new();
            let leaf = tape.leaf(&x);
            let y = leaf.dropout(0.5, random)?;
            let y = y.dropout(0.25, random)?;
            // The counter moves on between forward and backward: the masks must not.
            random.advance()?;
            let seed = Tensor::from_slice(&device, &[1.0f32; 300], [300])?;
            let gradients = y.backward_from(&seed)?;
            Ok([y.value().clone(), gradients.get(&leaf).cloned().unwrap()])
        };
        let plain: Vec<_> =
            (0..3).map(|_| step(&mut random).unwrap().map(|t| bits_of(&t))).collect();
        let mut random = Generator::new(&device, 4).unwrap();
        let (outputs, capture) = device.capture(|| step(&mut random)).unwrap();
        for (i, expected) in plain.iter().enumerate() {
            if i > 0 {
                capture.replay().unwrap();
            }
            let found = [bits_of(&outputs[0]), bits_of(&outputs[1])];
            assert_eq!(&found, expected, "{device}, run {i}");
            assert_eq!(found[0], found[1], "the gradient of 1 is the mask");
        }
        assert_ne!(plain[0], plain[1]);
    }
}

#[test]
fn dropout_scales_what_it_keeps() {
    let x = Random::new(1).values(100_001, 0.5, 1.5);
    for s in subjects() {
        let mut random = Generator::new(&s.device, 3).unwrap();
        let tape = Tape::new();
        let leaf = tape.leaf(&Tensor::from_slice(&s.device, &x, [x.len()]).unwrap());
        let y = leaf.dropout(0.2, &mut random).unwrap().value().to_vec::<f32>().unwrap();
        let kept = y.iter().filter(|v| **v != 0.0).count() as f64;
        assert!((kept / x.len() as f64 - 0.8).abs() < 0.005, "{}", s.label);
        for (y, x) in y.iter().zip(&x) {
            assert!(*y == 0.0 || (*y - x * 1.25).abs() < 1e-6, "{}", s.label);
        }
        let same = leaf.dropout(0.0, &mut random).unwrap();
        assert_eq!(same.value().to_vec::<f32>().unwrap(), x);
    }
}

#[test]
fn dropout_gradient() {
    let x: Vec<f64> = (0..50).map(|i| f64::from(i) * 0.1 + 0.1).collect();
    let outcome = gradient_check(&[(x, &[5, 10])], 1e-5, |v| {
        // The same draw every time.
        let mut random = Generator::new(v[0].device(), 8)?;
        Ok(vec![v[0].dropout(0.3, &mut random)?.square()?])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-7, "{outcome:?}");
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let mut random = Generator::new(&device, 0).unwrap();
    for p in [-0.1, 1.1, f32::NAN] {
        let outcome = random.bernoulli(p, [3], DType::F32);
        assert!(matches!(outcome, Err(Error::Argument { op: "bernoulli", .. })));
    }
    assert!(matches!(random.bernoulli(0.5, [3], DType::U32), Err(Error::DType { .. })));
    let p = Tensor::zeros(&device, [3], DType::F32).unwrap();
    let outcome = random.bernoulli_each(&p, [3, 4], DType::F32);
    assert!(matches!(outcome, Err(Error::Shape { op: "bernoulli_each", .. })));
    let x = Tape::new().leaf(&p);
    for p in [-0.1, 1.0, f32::NAN] {
        assert!(matches!(x.dropout(p, &mut random), Err(Error::Argument { op: "dropout", .. })));
    }
    let mut elsewhere = Generator::new(&Device::oracle(), 0).unwrap();
    assert!(matches!(x.dropout(0.5, &mut elsewhere), Err(Error::DeviceMismatch { .. })));
}
