//! Conformance of the `encode` family.

use kernels_tests::{Random, conform, subjects};
use proptest::prelude::*;
use spikegrad::encode::{self, Latency};
use spikegrad::random::Generator;
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Tape, Tensor};

#[test]
fn constant_current() {
    for (shape, steps) in [(&[1][..], 1), (&[3, 5], 4), (&[2, 8], 33), (&[0, 2], 3), (&[], 2)] {
        let x = Random::new(1).values(shape.iter().product(), -1.0, 1.0);
        conform(&format!("{shape:?} for {steps} steps"), 1e-6, |device| {
            let tape = Tape::new();
            let leaf = tape.leaf(&Tensor::from_slice(device, &x, shape)?);
            let y = leaf.repeat_steps(steps)?;
            assert_eq!(y.shape()[0], steps);
            let seed = Random::new(2).values(y.value().count(), 0.5, 1.5);
            let seed = Tensor::from_slice(device, &seed, *y.shape())?;
            let gradient = y.backward_from(&seed)?.get(&leaf).cloned().expect("a gradient");
            Ok(vec![y.value().clone(), gradient])
        });
        for s in subjects() {
            let t = Tensor::from_slice(&s.device, &x, shape).unwrap();
            let found = encode::constant(&t, steps).unwrap().to_vec::<f32>().unwrap();
            assert_eq!(found, x.repeat(steps), "{}", s.label);
        }
    }
    let x = vec![0.3, -0.2, 0.9];
    let outcome = gradient_check(&[(x, &[3])], 1e-5, |v| Ok(vec![v[0].repeat_steps(5)?.square()?]));
    assert!(outcome.unwrap().error < 1e-7);
}

#[test]
fn poisson_rates_and_limits() {
    let chances = [-1.0f32, 0.0, 0.1, 0.5, 1.0, 2.0];
    for s in subjects() {
        let x = Tensor::from_slice(&s.device, &chances, [2, 3]).unwrap();
        let draw = |dtype| {
            let mut random = Generator::new(&s.device, 6).unwrap();
            encode::poisson(&x, 5000, dtype, &mut random).unwrap()
        };
        let spikes = draw(DType::Bits).to_bools().unwrap();
        for (n, p) in chances.iter().enumerate() {
            let count = spikes.iter().skip(n).step_by(6).filter(|b| **b).count();
            let p = f64::from(p.clamp(0.0, 1.0));
            let deviation = (p * (1.0 - p) / 5000.0).sqrt();
            assert!((count as f64 / 5000.0 - p).abs() <= 4.0 * deviation, "{}: {p}", s.label);
        }
        let floats = draw(DType::F32).to_vec::<f32>().unwrap();
        assert!(floats.iter().zip(&spikes).all(|(f, b)| *f == f32::from(u8::from(*b))));
    }
    conform("the same spikes on every device", 0.0, |device| {
        let x = Tensor::from_slice(device, &chances, [2, 3])?;
        let mut random = Generator::new(device, 6)?;
        Ok(vec![encode::poisson(&x, 70, DType::Bits, &mut random)?])
    });
}

/// Spike times by the formula, in f64; `None` at a rounding edge, where either step is right.
fn time(x: f32, steps: usize, tau: f64, threshold: f64, linear: bool) -> Option<usize> {
    let x = f64::from(x);
    let t = match (linear, x > threshold) {
        (true, _) => tau * (1.0 - x),
        (false, true) => tau * (x / (x - threshold)).ln(),
        (false, false) => f64::INFINITY,
    };
    let near_edge = ((t - t.floor()) - 0.5).abs() < 1e-4 * (1.0 + t);
    (!near_edge).then(|| t.round().clamp(0.0, (steps - 1) as f64) as usize)
}

#[test]
fn latency_is_that_of_the_formula() {
    let x: Vec<f32> = (0..=1000).map(|i| i as f32 * 1e-3).chain([-0.5, 1.5, 30.0]).collect();
    for (steps, linear) in [(1, false), (20, false), (20, true), (75, false), (75, true)] {
        let options = Latency::default().tau(18.0).threshold(0.05);
        let options = if linear { options.linear() } else { options };
        for s in subjects() {
            let t = Tensor::from_slice(&s.device, &x, [x.len()]).unwrap();
            let spikes = encode::latency(&t, steps, options).unwrap().to_bools().unwrap();
            let silent = options.silent_below_threshold();
            let fewer = encode::latency(&t, steps, silent).unwrap().to_bools().unwrap();
            for (n, x_n) in x.iter().enumerate() {
                let of = |spikes: &[bool]| -> Vec<usize> {
                    (0..steps).filter(|k| spikes[k * x.len() + n]).collect()
                };
                let times = of(&spikes);
                assert_eq!(times.len(), 1, "{}: one spike for {x_n}", s.label);
                if let Some(expected) = time(*x_n, steps, 18.0, f64::from(0.05f32), linear) {
                    assert_eq!(times[0], expected, "{}: {x_n} of {steps}, {linear}", s.label);
                }
                let expected = if *x_n > 0.05 { times } else { Vec::new() };
                assert_eq!(of(&fewer), expected, "{}: {x_n}", s.label);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn spikes_are_the_same_on_every_device(
        steps in 1usize..100, row in 1usize..40, seed: u64, settled: bool, linear: bool,
    ) {
        let mut random = Random::new(seed);
        let x = random.values(row, -0.2, 1.2);
        // A coarse grid, so that many changes are the threshold exactly.
        let signal: Vec<f32> = random.values(steps * row, -4.0, 4.0).iter().map(|v| v.round() * 0.1).collect();
        conform("latency and delta", 0.0, |device| {
            let options = Latency::default();
            let options = if linear { options.linear() } else { options };
            let x = Tensor::from_slice(device, &x, [row])?;
            let signal = Tensor::from_slice(device, &signal, [steps, row])?;
            let changes = encode::delta(&signal, 0.1, settled)?;
            Ok(vec![encode::latency(&x, steps, options)?, changes.on, changes.off])
        });
    }
}

#[test]
fn delta_of_known_signals() {
    // Two columns over 40 steps: a ramp by halves, and a square wave.
    let x: Vec<f32> = (0..40)
        .flat_map(|t| [t as f32 * 0.5 + 0.5, if t / 10 % 2 == 1 { 1.0 } else { -1.0 }])
        .collect();
    for s in subjects() {
        let t = Tensor::from_slice(&s.device, &x, [40, 2]).unwrap();
        for settled in [false, true] {
            let spikes = encode::delta(&t, 0.5, settled).unwrap();
            let (on, off) = (spikes.on.to_bools().unwrap(), spikes.off.to_bools().unwrap());
            for t in 0..40 {
                let first = t == 0;
                assert_eq!(on[2 * t], !(first && settled), "{} {t}", s.label);
                assert!(!off[2 * t]);
                assert_eq!(on[2 * t + 1], t % 20 == 10, "{} {t}", s.label);
                let falls = (t % 20 == 0 && !first) || (first && !settled);
                assert_eq!(off[2 * t + 1], falls, "{} {t}", s.label);
            }
        }
    }
}

#[test]
fn many_columns() {
    // More than 65,535 workgroups.
    let count = 65_536 * 256 + 1;
    for s in subjects().iter().filter(|s| !s.device.is_host()) {
        let x = spikegrad::elementwise::full(&s.device, [count], 2.0).unwrap();
        let spikes = encode::latency(&x, 2, Latency::default()).unwrap();
        let spikes = spikes.to_bools().unwrap();
        assert!(spikes[..count].iter().all(|b| *b), "{}", s.label);
        assert!(spikes[count..].iter().all(|b| !b), "{}", s.label);
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let x = Tensor::zeros(&device, [2, 3], DType::F32).unwrap();
    let bits = Tensor::zeros(&device, [2, 3], DType::Bits).unwrap();
    let mut random = Generator::new(&device, 0).unwrap();
    assert!(matches!(encode::constant(&x, 0), Err(Error::Argument { op: "constant", .. })));
    assert!(matches!(encode::constant(&bits, 2), Err(Error::DType { .. })));
    let outcome = encode::poisson(&x, 0, DType::Bits, &mut random);
    assert!(matches!(outcome, Err(Error::Argument { op: "poisson", .. })));
    let outcome = encode::poisson(&x, 3, DType::U32, &mut random);
    assert!(matches!(outcome, Err(Error::DType { .. })));
    for options in [Latency::default().tau(0.0), Latency::default().threshold(f32::NAN)] {
        let outcome = encode::latency(&x, 3, options);
        assert!(matches!(outcome, Err(Error::Argument { op: "latency", .. })));
    }
    assert!(matches!(encode::latency(&bits, 3, Latency::default()), Err(Error::DType { .. })));
    for threshold in [0.0, -1.0, f32::NAN] {
        let outcome = encode::delta(&x, threshold, false);
        assert!(matches!(outcome, Err(Error::Argument { op: "delta", .. })));
    }
    let scalar = Tensor::zeros(&device, [], DType::F32).unwrap();
    assert!(matches!(encode::delta(&scalar, 0.1, false), Err(Error::Shape { .. })));
}
