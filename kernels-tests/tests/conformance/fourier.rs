//! Conformance of the `fourier` family.

use kernels_tests::{Random, Subject, assert_close, conform, oracle, own_subjects, subjects};
use spikegrad::elementwise::Activation;
use spikegrad::fourier::{
    ComplexGate, Gated, HardConcrete, Scaling, complex_linear, cpg_pairs, fft, graph_dense,
    graph_diag, graph_diag_outer, ifft, irfft, node_lines, rfft, token_lines,
};
use spikegrad::random::Generator;
use spikegrad::tape::{adjoint_gap, gradient_check};
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};
use std::f64::consts::TAU;

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

/// The transform by its definition, in f64, with the angles reduced in integers.
fn by_definition(z: &[f64], sign: f64) -> Vec<f64> {
    let n = z.len() / 2;
    let bin = |k: usize| {
        let terms = z.chunks_exact(2).enumerate().map(|(m, z)| {
            let (s, c) = (sign * TAU * (k * m % n) as f64 / n as f64).sin_cos();
            (z[0] * c - z[1] * s, z[0] * s + z[1] * c)
        });
        terms.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1))
    };
    (0..n).map(bin).flat_map(|(re, im)| [re, im]).collect()
}

/// The root-mean-square difference relative to the root mean square.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    let square = |v: f64| v * v;
    let gap: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    let size: f64 = expected.iter().map(|b| square(*b)).sum();
    (gap / size.max(f64::MIN_POSITIVE)).sqrt()
}

#[test]
fn the_oracle_follows_the_definition() {
    let d = oracle();
    for n in (1..=64).chain([89, 97, 128]) {
        let x = data(d, &[n], 1).unwrap();
        let z = data(d, &[n, 2], 2).unwrap();
        let values = z.to_vec::<f64>().unwrap();
        let real: Vec<f64> = x.to_vec::<f64>().unwrap().iter().flat_map(|v| [*v, 0.0]).collect();
        let forward = fft(&z, 0, Scaling::None).unwrap().to_vec::<f64>().unwrap();
        assert!(distance(&forward, &by_definition(&values, -1.0)) < 1e-13, "fft of {n}");
        let inverse = ifft(&z, 0, Scaling::None).unwrap().to_vec::<f64>().unwrap();
        assert!(distance(&inverse, &by_definition(&values, 1.0)) < 1e-13, "ifft of {n}");
        let half = rfft(&x, 0, Scaling::None).unwrap();
        let whole = by_definition(&real, -1.0);
        let found = half.to_vec::<f64>().unwrap();
        assert!(distance(&found, &whole[..n / 2 * 2 + 2]) < 1e-13, "rfft of {n}");
        let back = irfft(&half, n, 0, Scaling::ByLength).unwrap().to_vec::<f64>().unwrap();
        assert!(distance(&back, &x.to_vec::<f64>().unwrap()) < 1e-7, "irfft of {n}");
    }
}

/// Lines that stand side by side take another way than lines alone.
#[test]
fn the_oracle_follows_the_definition_along_other_axes() {
    let d = oracle();
    for (n, inner) in (1..=40).map(|n| (n, 19)).chain([(74, 8), (97, 9), (480, 16), (630, 3)]) {
        let z = data(d, &[n, inner, 2], 2).unwrap();
        let x = data(d, &[n, inner], 1).unwrap();
        let numbers = z.to_vec::<f64>().unwrap();
        let reals = x.to_vec::<f64>().unwrap();
        let forward = fft(&z, 0, Scaling::None).unwrap().to_vec::<f64>().unwrap();
        let inverse = ifft(&z, 0, Scaling::None).unwrap().to_vec::<f64>().unwrap();
        let half = rfft(&x, 0, Scaling::None).unwrap();
        let back = irfft(&half, n, 0, Scaling::ByLength).unwrap().to_vec::<f64>().unwrap();
        let half = half.to_vec::<f64>().unwrap();
        assert!(distance(&back, &reals) < 1e-7, "irfft of {n}");
        for c in 0..inner {
            let column = |values: &[f64]| -> Vec<f64> {
                let rows = values.chunks_exact(2 * inner);
                rows.flat_map(|row| [row[2 * c], row[2 * c + 1]]).collect()
            };
            let line = column(&numbers);
            let real: Vec<f64> = reals.chunks_exact(inner).flat_map(|row| [row[c], 0.0]).collect();
            assert!(distance(&column(&forward), &by_definition(&line, -1.0)) < 1e-13, "fft of {n}");
            assert!(distance(&column(&inverse), &by_definition(&line, 1.0)) < 1e-13, "ifft of {n}");
            let whole = by_definition(&real, -1.0);
            assert!(distance(&column(&half), &whole[..n / 2 * 2 + 2]) < 1e-13, "rfft of {n}");
        }
    }
}

/// All four transforms along the middle axis of `[outer, n, inner]`, on every device, within
/// `tolerance` of the oracle in the root-mean-square sense.
fn transforms(outer: usize, n: usize, inner: usize, tolerance: f64) {
    let run = |device: &Device| -> Result<[Tensor; 4]> {
        let x = data(device, &[outer, n, inner], 1)?;
        let z = data(device, &[outer, n, inner, 2], 2)?;
        let half = data(device, &[outer, n / 2 + 1, inner, 2], 3)?;
        Ok([
            fft(&z, 1, Scaling::Ortho)?,
            ifft(&z, 1, Scaling::ByLength)?,
            rfft(&x, 1, Scaling::None)?,
            irfft(&half, n, 1, Scaling::Ortho)?,
        ])
    };
    let expected = run(oracle()).unwrap();
    for subject in subjects() {
        let found =
            run(&subject.device).unwrap_or_else(|e| panic!("{n} on {}: {e}", subject.label));
        for ((found, expected), which) in
            found.iter().zip(&expected).zip(["fft", "ifft", "rfft", "irfft"])
        {
            assert_eq!(found.shape(), expected.shape());
            let (a, b) = (found.to_vec::<f64>().unwrap(), expected.to_vec::<f64>().unwrap());
            let gap = distance(&a, &b);
            assert!(gap <= tolerance, "{which} of {n} on {}: {gap:e}", subject.label);
        }
    }
}

#[test]
fn short_lines() {
    for n in 1..=64 {
        transforms(3, n, 1, 5e-7);
    }
}

#[test]
fn longer_lines() {
    for n in [89, 97, 128, 360, 660, 1021, 1680, 2484, 4096] {
        transforms(3, n, 1, 2e-6);
    }
    transforms(1, 7116, 1, 2e-6);
    transforms(1, 1 << 14, 1, 2e-6);
}

#[test]
fn lines_along_other_axes() {
    for (outer, n, inner) in [(2, 12, 5), (1, 30, 40), (3, 89, 2), (17, 4, 9), (1, 2484, 3)] {
        transforms(outer, n, inner, 2e-6);
    }
}

/// Lengths beyond workgroup memory, with a prime factor and without, also where that of half the
/// points is large.
#[test]
fn long_lines() {
    for n in [16_411, 2 * 16_411, 3 << 15] {
        transforms(1, n, 1, 5e-6);
    }
    transforms(2, 5000, 3, 2e-6);
    transforms(1, 2 * 4099, 2, 2e-6);
}

/// The longest, and more than an invocation of a software adapter may loop over: llvmpipe ends all
/// loops of an invocation after 65,535 iterations in all, and says nothing.
#[test]
fn many_points() {
    let run = |device: &Device, lines: usize, n: usize| -> Vec<f64> {
        let x = data(device, &[lines, n], 1).unwrap();
        rfft(&x, 1, Scaling::Ortho).unwrap().to_vec().unwrap()
    };
    for (lines, n) in [(1, 1 << 19), (1, 1 << 20), (1, (1 << 20) - 3), (512, 4440), (130, 8191)] {
        let expected = run(oracle(), lines, n);
        for subject in subjects() {
            let d = &subject.device;
            if d.is_host() || d.capabilities().software {
                let gap = distance(&run(d, lines, n), &expected);
                assert!(gap < 5e-6, "{lines} x {n} on {}: {gap:e}", subject.label);
            }
        }
    }
}

/// Each launch of a transform against its twin: whole lines, and the passes over long ones.
#[test]
fn shadowed_transforms_agree() {
    for subject in own_subjects() {
        let d = &subject.device;
        d.shadow(true);
        for (n, inner) in [(60, 1), (97, 3), (4098, 1), (5000, 3), (5001, 1), (2 * 4099, 2)] {
            let x = data(d, &[2, n, inner], 1).unwrap();
            let z = data(d, &[2, n, inner, 2], 2).unwrap();
            let half = data(d, &[2, n / 2 + 1, inner, 2], 3).unwrap();
            let outcomes = [
                rfft(&x, 1, Scaling::Ortho),
                irfft(&half, n, 1, Scaling::Ortho),
                fft(&z, 1, Scaling::Ortho),
                ifft(&z, 1, Scaling::Ortho),
            ];
            for outcome in outcomes {
                assert!(outcome.is_ok(), "{n} on {}: {}", subject.label, outcome.unwrap_err());
            }
        }
        d.shadow(false);
    }
}

/// What a run of `work` launches on a device.
fn launches(device: &Device, work: impl FnOnce() -> Result<Tensor>) -> usize {
    let (_, profile) = device.profile(work).unwrap();
    profile.rows().iter().map(|row| row.launches).sum()
}

/// Software adapters take a line of any length in one launch; hardware where workgroup memory holds
/// it.
#[test]
fn short_transforms_are_one_launch() {
    let whole = [1, 2, 7, 64, 97, 210, 1021, 2039, 2 * 2039, 3900, 4093, 4095, 4096];
    for (i, subject) in own_subjects().into_iter().enumerate() {
        let d = &subject.device;
        let held = [2usize, 97, 1021, 2048, 4096];
        let software = d.is_host() || d.capabilities().software;
        let lengths: &[usize] = if software { &whole } else { &held };
        for &n in lengths {
            let x = data(d, &[2, n], 1).unwrap();
            let count = launches(d, || rfft(&x, 1, Scaling::Ortho));
            assert_eq!(count, 1, "rfft of {n} on {} ({i})", subject.label);
        }
        if software {
            for n in [97, 2 * 89, 4096] {
                let z = data(d, &[2, n, 2], 1).unwrap();
                let half = data(d, &[2, n / 2 + 1, 2], 1).unwrap();
                assert_eq!(launches(d, || fft(&z, 1, Scaling::Ortho)), 1, "fft of {n}");
                assert_eq!(launches(d, || irfft(&half, n, 1, Scaling::None)), 1, "irfft of {n}");
            }
            let s = Tensor::from_bools(d, &[true; 4 * 12 * 3], [4, 12, 3]).unwrap();
            assert_eq!(launches(d, || rfft(&s, 1, Scaling::Ortho)), 1, "spikes");
        }
    }
}

#[test]
fn many_short_lines() {
    conform("280,000 lines of two", 1e-6, |device| {
        let x = data(device, &[280_000, 2], 1)?;
        Ok(vec![rfft(&x, 1, Scaling::None)?])
    });
}

#[test]
fn backward_agrees_on_every_device() {
    for (outer, n, inner) in [(2, 12, 3), (1, 15, 1), (4, 1, 2), (2, 2, 1), (1, 74, 2)] {
        conform(&format!("backward of {outer} x {n} x {inner}"), 2e-6, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, &[outer, n, inner], 1)?);
            let z = tape.leaf(&data(device, &[outer, n, inner, 2], 2)?);
            let half = tape.leaf(&data(device, &[outer, n / 2 + 1, inner, 2], 3)?);
            let outputs = [
                x.rfft(1, Scaling::Ortho)?,
                z.fft(1, Scaling::None)?,
                z.ifft(1, Scaling::ByLength)?,
                half.irfft(n, 1, Scaling::Ortho)?,
            ];
            let mut seeds = Vec::new();
            for y in &outputs {
                seeds.push((y, data(device, y.shape(), 4)?));
            }
            let gradients = kernels_tests::seeded(&seeds)?.backward()?;
            Ok([&x, &z, &half].map(|v| gradients.get(v).unwrap().clone()).to_vec())
        });
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let values = |count: usize, seed: u64| -> Vec<f64> {
        Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
    };
    for n in [1, 2, 3, 7, 8, 12, 13] {
        let bins = n / 2 + 1;
        let (real, complex, spectrum) = ([2, n], [2, n, 2], [2, bins, 2]);
        let x = [(values(2 * n, 1), real.as_slice())];
        let z = [(values(4 * n, 1), complex.as_slice())];
        let half = [(values(4 * bins, 1), spectrum.as_slice())];
        let outcomes = [
            gradient_check(&x, 1e-4, |v| Ok(vec![v[0].rfft(1, Scaling::Ortho)?])),
            gradient_check(&z, 1e-4, |v| Ok(vec![v[0].fft(1, Scaling::None)?])),
            gradient_check(&z, 1e-4, |v| Ok(vec![v[0].ifft(1, Scaling::ByLength)?])),
            gradient_check(&half, 1e-4, |v| Ok(vec![v[0].irfft(n, 1, Scaling::None)?])),
        ];
        for (i, outcome) in outcomes.into_iter().enumerate() {
            assert!(outcome.as_ref().unwrap().error < 1e-7, "{i} of {n}: {outcome:?}");
        }
    }
}

#[test]
fn backward_is_the_adjoint() {
    for subject in subjects() {
        let d = &subject.device;
        for (n, inner) in [(64, 1), (97, 1), (384, 16), (2484, 1), (1021, 1), (2 * 4099, 1)] {
            let x = data(d, &[2, n, inner], 1).unwrap();
            let y = data(d, &[2, n / 2 + 1, inner, 2], 2).unwrap();
            let z = data(d, &[2, n, inner, 2], 3).unwrap();
            let w = data(d, &[2, n, inner, 2], 4).unwrap();
            let gaps = [
                adjoint_gap(&x, &y, |v| v.rfft(1, Scaling::Ortho)),
                adjoint_gap(&y, &x, |v| v.irfft(n, 1, Scaling::Ortho)),
                adjoint_gap(&z, &w, |v| v.fft(1, Scaling::Ortho)),
                adjoint_gap(&z, &w, |v| v.ifft(1, Scaling::Ortho)),
            ];
            for (gap, which) in gaps.into_iter().zip(["rfft", "irfft", "fft", "ifft"]) {
                let gap = gap.unwrap();
                assert!(gap < 1e-6, "{which} of {n} on {}: {gap:e}", subject.label);
            }
        }
    }
}

#[test]
fn two_axes() {
    conform("transforms along two axes", 2e-6, |device| {
        let tape = Tape::off();
        let x = tape.constant(&data(device, &[6, 10, 3], 1)?);
        let z = x.rfft2([0, 1], Scaling::Ortho)?;
        let c = tape.constant(&data(device, &[5, 4, 2], 2)?).fft2([0, 1], Scaling::None)?;
        let back = c.ifft2([0, 1], Scaling::ByLength)?;
        Ok(vec![
            z.value().clone(),
            z.irfft2(10, [0, 1], Scaling::Ortho)?.value().clone(),
            c.value().clone(),
            back.value().clone(),
        ])
    });
    let d = oracle();
    let x = data(d, &[6, 10], 1).unwrap();
    let var = Tape::off().constant(&x);
    let z = var.rfft2([0, 1], Scaling::Ortho).unwrap();
    let back = z.irfft2(10, [0, 1], Scaling::Ortho).unwrap().value().to_vec::<f64>().unwrap();
    assert!(distance(&back, &x.to_vec::<f64>().unwrap()) < 1e-6);
}

#[test]
fn the_same_bits_every_time() {
    for subject in subjects() {
        for n in [1021, 1680] {
            let x = data(&subject.device, &[3, n], 1).unwrap();
            let run = || rfft(&x, 1, Scaling::Ortho).unwrap().to_vec::<f32>().unwrap();
            assert_eq!(run(), run(), "{n} on {}", subject.label);
        }
    }
}

#[test]
fn spikes_are_transformed_packed_or_not() {
    let cases: [(&[usize], usize); 6] = [
        (&[4, 12, 3], 1),
        (&[40, 2, 15], 2),
        (&[33, 3, 8, 17], 2),
        (&[5, 97, 9], 1),
        (&[12, 5], 0),
        (&[2, 5000, 1], 1),
    ];
    for (shape, axis) in cases {
        conform(&format!("spikes of {shape:?} along {axis}"), 2e-6, |device| {
            let mut random = Random::new(5);
            let count: usize = shape.iter().product();
            let spikes: Vec<bool> = (0..count).map(|_| random.word().is_multiple_of(3)).collect();
            let tape = Tape::new();
            let s = tape.leaf(&Tensor::from_bools(device, &spikes, shape)?);
            let z = s.rfft(axis, Scaling::Ortho)?;
            let unpacked = rfft(s.unpack()?.value(), axis, Scaling::Ortho)?;
            assert_close("packed", z.value(), &unpacked, 1e-7);
            let g = z.backward_from(&data(device, z.shape(), 1)?)?.get(&s).unwrap().clone();
            Ok(vec![z.value().clone(), g])
        });
    }
    let s = Tensor::zeros(oracle(), [3, 4, 2], DType::Bits).unwrap();
    assert!(fft(&s, 1, Scaling::None).is_err());
}

#[test]
fn mistakes_are_errors() {
    let d = Device::host();
    let t = |shape: &[usize]| Tensor::zeros(&d, shape, DType::F32).unwrap();
    let s = Scaling::None;
    let refused = [
        fft(&t(&[4, 3]), 0, s),
        fft(&t(&[4, 2]), 1, s),
        fft(&t(&[0, 2]), 0, s),
        ifft(&t(&[2]), 0, s),
        rfft(&t(&[3, 0]), 1, s),
        rfft(&t(&[3]), 1, s),
        rfft(&Tensor::zeros(&d, [3], DType::U32).unwrap(), 0, s),
        irfft(&t(&[4, 2]), 8, 0, s),
        irfft(&t(&[1, 2]), 0, 0, s),
        irfft(&t(&[4, 3]), 6, 0, s),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    // No lines are no mistake.
    assert_eq!(*rfft(&t(&[0, 6]), 1, s).unwrap().shape(), [0, 4, 2]);
    let tape = Tape::new();
    let v = |shape: &[usize]| tape.leaf(&t(shape));
    let w = || v(&[2, 3, 4]);
    let gate = ComplexGate::new();
    let refused = [
        v(&[3, 2]).complex_mul(&v(&[4, 2])),
        v(&[3, 3]).modulus(),
        v(&[3]).conjugate(),
        complex_linear(&v(&[5, 4, 2]), &w(), None, Activation::Identity),
        complex_linear(&v(&[5, 3, 2]), &w(), Some(&v(&[4])), Activation::Identity),
        graph_diag(&v(&[5, 3, 2]), &v(&[3, 4, 4]), 0.01),
        graph_diag(&v(&[5, 3, 2]), &v(&[3, 4, 3]), -1.0),
        graph_diag_outer(&v(&[5, 2]), &v(&[3, 1]), &v(&[3, 4, 3]), 0.01),
        gate.tau(0.5).run(&v(&[4, 3, 2])).map(|g| g.y),
        gate.run(&v(&[2])).map(|g| g.y),
        HardConcrete::new().beta(0.0).evaluate(&v(&[3])),
        HardConcrete::new().with_noise(&v(&[3]), &t(&[4])),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} with a variable was accepted");
    }
    assert!(cpg_pairs(&d, 2, 3, 4, 0.0).is_err());
}

/// Runs an operator of two complex tensors with its backward everywhere.
fn of_two(what: &str, op: impl Fn(&Var, &Var) -> Result<Var>) {
    for count in [1, 7, 300] {
        conform(&format!("{what} of {count}"), 2e-6, |device| {
            let tape = Tape::new();
            let a = tape.leaf(&data(device, &[count, 2], 1)?);
            let b = tape.leaf(&data(device, &[count, 2], 2)?);
            let y = op(&a, &b)?;
            let gradients = y.backward_from(&data(device, y.shape(), 3)?)?;
            let mut out = vec![y.value().clone()];
            out.extend([&a, &b].into_iter().filter_map(|v| gradients.get(v).cloned()));
            Ok(out)
        });
    }
}

#[test]
fn complex_arithmetic() {
    of_two("product", |a, b| a.complex_mul(b));
    of_two("product with the conjugate", |a, b| a.complex_mul_conjugate(b));
    of_two("modulus", |a, _| a.modulus());
    of_two("phase", |a, _| a.phase());
    of_two("conjugate", |a, _| a.conjugate());
    let values: Vec<f64> = vec![0.3, -0.4, -1.2, 0.5, 0.7, 0.9, -0.2, -0.8];
    let inputs = [(values.clone(), [4, 2].as_slice()), (values, &[4, 2])];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        Ok(vec![
            v[0].complex_mul(&v[1])?,
            v[0].complex_mul_conjugate(&v[1])?,
            v[0].modulus()?,
            v[1].phase()?,
            v[0].conjugate()?,
        ])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-7, "{outcome:?}");
}

#[test]
fn moduli_and_phases_of_special_numbers() {
    let numbers: [f32; 14] =
        [0.0, 0.0, 3.0, 4.0, -1.0, 0.0, 0.0, -2.0, 1e-30, 1e-30, -1e30, 1e30, 1.0, -1e-6];
    conform("special numbers", 1e-6, |device| {
        let z = Tape::off().constant(&Tensor::from_slice(device, &numbers, [7, 2])?);
        // Of very different sizes: each compared by itself.
        let mut out = vec![z.phase()?.value().clone()];
        let size = z.modulus()?;
        for i in 0..7 {
            out.push(size.narrow(0, i..i + 1)?.value().clone());
        }
        Ok(out)
    });
}

#[test]
fn complex_linear_layers() {
    for (rows, k, n) in [(5, 3, 4), (1, 1, 1), (33, 16, 7)] {
        conform(&format!("complex linear {rows} x {k} x {n}"), 1e-5, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, &[rows, k, 2], 1)?);
            let w = tape.leaf(&data(device, &[2, k, n], 2)?);
            let b = tape.leaf(&data(device, &[2, n], 3)?);
            let y = complex_linear(&x, &w, Some(&b), Activation::Relu)?;
            let gradients = y.backward_from(&data(device, y.shape(), 4)?)?;
            let mut out = vec![y.value().clone()];
            out.extend([&x, &w, &b].map(|v| gradients.get(v).unwrap().clone()));
            Ok(out)
        });
    }
}

/// Weights of a diagonal mix whose layers are open about half the time.
fn mixed(device: &Device, outer: bool, rows: usize, channels: usize) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let w = tape.leaf(&data(device, &[3, 4, channels], 2)?);
    let shape = if outer { vec![rows, 2] } else { vec![rows, channels, 2] };
    let x = tape.leaf(&data(device, &shape, 1)?);
    let e = tape.leaf(&data(device, &[channels], 3)?);
    let z = match outer {
        true => graph_diag_outer(&x, &e, &w, 0.01)?,
        false => graph_diag(&x, &w, 0.01)?,
    };
    let gradients = z.backward_from(&data(device, z.shape(), 4)?)?;
    let mut out = vec![z.value().clone()];
    out.extend([&x, &e, &w].into_iter().filter_map(|v| gradients.get(v).cloned()));
    Ok(out)
}

#[test]
fn diagonal_mixes() {
    for (rows, channels) in [(1, 1), (5, 3), (331, 8), (2000, 20)] {
        for outer in [true, false] {
            conform(&format!("mix of {rows} x {channels}, outer {outer}"), 1e-5, |device| {
                mixed(device, outer, rows, channels)
            });
        }
    }
}

#[test]
fn dense_mixes() {
    for (rows, channels) in [(1, 1), (21, 5), (40, 33), (16, 128), (5, 130)] {
        conform(&format!("dense mix of {rows} x {channels}"), 2e-5, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, &[rows, channels, 2], 1)?);
            // Layers of about the size of their inputs, open about half the time.
            let size = (channels as f32).sqrt().recip();
            let leaf = |shape: &[usize], seed: u64, size: f32| -> Result<Var> {
                let count = shape.iter().product();
                let values = Random::new(seed).values(count, -size, size);
                Ok(tape.leaf(&Tensor::from_slice(device, &values, shape)?))
            };
            let square = [2, channels, channels];
            let w = [leaf(&square, 2, size)?, leaf(&square, 3, size)?, leaf(&square, 4, size)?];
            let b = [5, 6, 7].map(|seed| leaf(&[2, channels], seed, 0.5));
            let [b1, b2, b3] = b;
            let b = [b1?, b2?, b3?];
            let z = graph_dense(&x, w.each_ref(), b.each_ref(), 0.01)?;
            let gradients = z.backward_from(&data(device, z.shape(), 8)?)?;
            let mut out = vec![z.value().clone()];
            out.extend(
                [&x].into_iter().chain(&w).chain(&b).map(|v| gradients.get(v).unwrap().clone()),
            );
            Ok(out)
        });
    }
}

#[test]
fn gradients_of_mixes() {
    let values = |count: usize, seed: u64| -> Vec<f64> {
        Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
    };
    let inputs = [
        (values(8, 1), [4, 2].as_slice()),
        (values(3, 2), &[3]),
        (values(36, 3), &[3, 4, 3]),
        (values(24, 4), &[4, 3, 2]),
    ];
    let outcome = gradient_check(&inputs, 1e-6, |v| {
        Ok(vec![graph_diag_outer(&v[0], &v[1], &v[2], 0.01)?, graph_diag(&v[3], &v[2], 0.02)?])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-6, "{outcome:?}");
    let inputs = [
        (values(24, 4), [4, 3, 2].as_slice()),
        (values(18, 5), &[2, 3, 3]),
        (values(18, 6), &[2, 3, 3]),
        (values(18, 7), &[2, 3, 3]),
        (values(6, 8), &[2, 3]),
        (values(6, 9), &[2, 3]),
        (values(6, 10), &[2, 3]),
    ];
    let outcome = gradient_check(&inputs, 1e-6, |v| {
        Ok(vec![graph_dense(&v[0], [&v[1], &v[2], &v[3]], [&v[4], &v[5], &v[6]], 0.01)?])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-6, "{outcome:?}");
}

#[test]
fn a_dense_mix_of_diagonal_matrices_is_a_diagonal_mix() {
    let d = oracle();
    let n = 3;
    let x = data(d, &[5, n, 2], 1).unwrap();
    let packed = data(d, &[3, 4, n], 2).unwrap().to_vec::<f64>().unwrap();
    let tape = Tape::off();
    let leaf = |values: Vec<f64>, shape: &[usize]| {
        tape.constant(&Tensor::from_slice(d, &values, shape).unwrap())
    };
    let layer = |k: usize| &packed[4 * n * k..4 * n * (k + 1)];
    let weight = |k: usize| {
        let mut w = vec![0.0; 2 * n * n];
        for part in 0..2 {
            for i in 0..n {
                w[part * n * n + i * (n + 1)] = layer(k)[part * n + i];
            }
        }
        leaf(w, &[2, n, n])
    };
    let bias = |k: usize| leaf(layer(k)[2 * n..].to_vec(), &[2, n]);
    let (w, b) = ([weight(0), weight(1), weight(2)], [bias(0), bias(1), bias(2)]);
    let x = tape.constant(&x);
    let (w, b) = ([&w[0], &w[1], &w[2]], [&b[0], &b[1], &b[2]]);
    let dense = graph_dense(&x, w, b, 0.01).unwrap().value().to_vec::<f64>().unwrap();
    let diag = graph_diag(&x, &leaf(packed.clone(), &[3, 4, n]), 0.01).unwrap();
    assert!(distance(&diag.value().to_vec::<f64>().unwrap(), &dense) < 1e-14);
}

#[test]
fn complex_gates() {
    for (steps, columns) in [(1, 1), (4, 37), (40, 5), (4, 9000)] {
        for (through, detach) in [(false, false), (true, false), (true, true)] {
            let what = format!("gate of {steps} x {columns}, {through}, {detach}");
            conform(&what, 1e-5, |device| {
                let tape = Tape::new();
                // A grid that keeps membranes away from the threshold.
                let grid = |v: f32| (v * 12.0).round() / 4.0 + 0.0625;
                let values: Vec<f32> = Random::new(1)
                    .values(steps * columns * 2, -1.0, 1.0)
                    .into_iter()
                    .map(grid)
                    .collect();
                let z = tape.leaf(&Tensor::from_slice(device, &values, [steps, columns, 2])?);
                let gate = ComplexGate::new().straight_through(through).detach_reset(detach);
                let out = gate.run(&z)?;
                let g = out.y.backward_from(&data(device, &[steps, columns, 2], 2)?)?;
                Ok(vec![out.y.value().clone(), out.gate, g.get(&z).unwrap().clone()])
            });
        }
    }
}

#[test]
fn hard_concrete_gates() {
    conform("gates", 2e-5, |device| {
        let tape = Tape::new();
        let logits: Vec<f32> = Random::new(1).values(300, -3.0, 3.0);
        let noise: Vec<f32> = Random::new(2).values(300, 0.01, 0.99);
        let a = tape.leaf(&Tensor::from_slice(device, &logits, [300])?);
        let noise = Tensor::from_slice(device, &noise, [300])?;
        let gates = HardConcrete::new().beta(0.5);
        let m = gates.with_noise(&a, &noise)?;
        let still = gates.evaluate(&a)?;
        let (share, penalty) = (gates.open_share(&a)?, gates.detached_share(&a)?);
        let seeds = [
            (&m, data(device, &[300], 3)?),
            (&still, data(device, &[300], 4)?),
            (&share, Tensor::from_slice(device, &[100.0f32], [])?),
        ];
        let gradients = kernels_tests::seeded(&seeds)?.backward()?;
        let g = gradients.get(&a).unwrap().clone();
        Ok(vec![
            m.value().clone(),
            still.value().clone(),
            share.value().clone(),
            penalty.value().clone(),
            g,
        ])
    });
    let gates = HardConcrete::new();
    let mut generator = Generator::new(oracle(), 1).unwrap();
    let tape = Tape::off();
    let logits = tape.constant(&spikegrad::elementwise::full(oracle(), [20_000], 0.5).unwrap());
    let m = gates.sample(&logits, &mut generator).unwrap().value().to_vec::<f64>().unwrap();
    let open = m.iter().filter(|m| **m > 0.0).count() as f64 / m.len() as f64;
    let expected = f64::from(gates.open_share(&logits).unwrap().value().item().unwrap());
    assert!((open - expected).abs() < 0.02, "{open} of gates are open, not {expected}");
}

/// What charges gates, on a grid that keeps membranes away from the threshold.
fn charging(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let grid = |v: f32| (v * 12.0).round() / 4.0 + 0.0625;
    let values = Random::new(seed).values(shape.iter().product(), -1.0, 1.0);
    Tensor::from_slice(device, &values.into_iter().map(grid).collect::<Vec<f32>>(), shape)
}

/// Outcome, gate and gradients of gates with what stands around them, fused or in parts:
/// `[T, rows, E, 2]`.
fn surrounded(
    device: &Device,
    [steps, rows, channels]: [usize; 3],
    gate: ComplexGate,
    fused: bool,
) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let shape = [steps, rows, channels, 2];
    let leaf = |shape: &[usize], seed| Ok::<_, Error>(tape.leaf(&charging(device, shape, seed)?));
    let (z, base) = (leaf(&shape, 1)?, leaf(&shape, 2)?);
    let affine_map = leaf(&[2, channels, 2], 3)?;
    let scale = leaf(&[1], 5)?;
    let (affine, residual) = if fused {
        (gate.run_affine(&z, &affine_map)?, gate.run_residual(&z, &base, &scale)?)
    } else {
        let part = |i: usize| affine_map.narrow(0, i..i + 1)?.reshape([channels, 2]);
        let affine = gate.run(&z.mul(&part(0)?)?.add(&part(1)?)?)?;
        let branch = gate.run(&z)?;
        let y = base.add(&branch.y.mul(&scale)?)?;
        (affine, Gated { y, gate: branch.gate })
    };
    let seeds = [(&affine.y, data(device, &shape, 6)?), (&residual.y, data(device, &shape, 7)?)];
    let gradients = kernels_tests::seeded(&seeds)?.backward()?;
    let values = [affine.y.value().clone(), affine.gate, residual.y.value().clone(), residual.gate];
    let leaves = [&z, &base, &affine_map, &scale];
    Ok(values.into_iter().chain(leaves.map(|v| gradients.get(v).unwrap().clone())).collect())
}

#[test]
fn gates_with_what_stands_around_them() {
    for (steps, rows, channels) in [(1, 1, 1), (4, 37, 5), (4, 1100, 16), (40, 3, 2)] {
        for (through, detach) in [(false, false), (true, false), (true, true)] {
            let gate = ComplexGate::new().straight_through(through).detach_reset(detach);
            let extents = [steps, rows, channels];
            let what = format!("{extents:?}, {gate:?}");
            conform(&what, 2e-5, |device| surrounded(device, extents, gate, true));
            let fused = surrounded(oracle(), extents, gate, true).unwrap();
            let parts = surrounded(oracle(), extents, gate, false).unwrap();
            for (i, (fused, part)) in fused.iter().zip(&parts).enumerate() {
                match fused.dtype() {
                    DType::Bits => assert_eq!(fused.to_bools().unwrap(), part.to_bools().unwrap()),
                    _ => assert_close(&format!("{what}, {i} fused"), fused, part, 1e-12),
                }
            }
        }
    }
}

#[test]
fn gated_bins() {
    for (outer, bins, inner) in [(1, 1, 1), (5, 7, 3), (64, 43, 16), (2, 4001, 9)] {
        conform(&format!("gated bins {outer} x {bins} x {inner}"), 1e-5, |device| {
            let tape = Tape::new();
            let z = tape.leaf(&data(device, &[outer, bins, inner, 2], 1)?);
            let m = tape.leaf(&data(device, &[bins], 2)?);
            let y = z.gate_bins(&m, 1)?;
            let gradients = y.backward_from(&data(device, y.shape(), 3)?)?;
            let g = |v| gradients.get(v).unwrap().clone();
            Ok(vec![y.value().clone(), g(&z), g(&m)])
        });
    }
    let values = |count, seed| Random::new(seed).values(count, -1.0, 1.0);
    let values = |count, seed| values(count, seed).iter().map(|v| f64::from(*v)).collect();
    let inputs = [(values(48, 1), [2, 3, 4, 2].as_slice()), (values(3, 2), &[3])];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let parts = v[0].mul(&v[1].reshape([3, 1, 1])?)?;
        let y = v[0].gate_bins(&v[1], 1)?;
        assert_close("gated bins", y.value(), parts.value(), 1e-14);
        Ok(vec![y])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-7, "{outcome:?}");
}

#[test]
fn lines_of_nodes() {
    for (steps, batch, nodes, channels) in [(1, 1, 1, 1), (4, 3, 37, 5), (2, 1, 5000, 16)] {
        conform(&format!("lines {steps} x {batch} x {nodes} x {channels}"), 1e-5, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, &[batch, nodes], 1)?);
            let lines = tape.leaf(&data(device, &[steps, batch, 2, channels], 2)?);
            let y = node_lines(&x, &lines)?;
            let gradients = y.backward_from(&data(device, y.shape(), 3)?)?;
            let g = |v| gradients.get(v).unwrap().clone();
            Ok(vec![y.value().clone(), g(&x), g(&lines)])
        });
    }
    let values = |count, seed| Random::new(seed).values(count, -1.0, 1.0);
    let values = |count, seed| values(count, seed).iter().map(|v| f64::from(*v)).collect();
    let inputs = [(values(10, 1), [2, 5].as_slice()), (values(36, 2), &[3, 2, 2, 3])];
    let outcome = gradient_check(&inputs, 1e-5, |v| Ok(vec![node_lines(&v[0], &v[1])?]));
    assert!(outcome.as_ref().unwrap().error < 1e-7, "{outcome:?}");
}

#[test]
fn what_does_not_fit_around_gates_is_refused() {
    let d = Device::host();
    let tape = Tape::new();
    let v = |shape: &[usize]| tape.leaf(&data(&d, shape, 1).unwrap());
    let gate = ComplexGate::new();
    let z = || v(&[4, 5, 3, 2]);
    let refused = [
        gate.run_affine(&z(), &v(&[2, 2, 2])).map(|g| g.y),
        gate.run_affine(&z(), &v(&[6, 2])).map(|g| g.y),
        gate.run_affine(&v(&[4, 2]), &v(&[2, 4, 2])).map(|g| g.y),
        gate.run_residual(&z(), &v(&[4, 5, 2, 2]), &v(&[1])).map(|g| g.y),
        gate.run_residual(&z(), &z(), &v(&[2])).map(|g| g.y),
        z().gate_bins(&v(&[4]), 1),
        z().gate_bins(&v(&[5]), 3),
        v(&[5, 3]).gate_bins(&v(&[5]), 0),
        node_lines(&v(&[2, 5]), &v(&[3, 1, 2, 4])),
        node_lines(&v(&[2]), &v(&[3, 2, 2, 4])),
        z().gate_bins(&tape.leaf(&data(oracle(), &[5], 1).unwrap()), 1),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    assert_eq!(*v(&[0, 5, 3, 2]).gate_bins(&v(&[5]), 1).unwrap().shape(), [0, 5, 3, 2]);
}

/// The embedding by its parts: `[T, B, M, E]` of `x [B, M]`.
fn embedded(x: &Var, channel: &Var, step: &Var) -> Result<Var> {
    let (&[batch, nodes], &[_, steps, width]) = (x.shape().dims(), step.shape().dims()) else {
        return Err(Error::argument("test", "shapes"));
    };
    let row = |i: usize| channel.narrow(0, i..i + 1)?.reshape([width]);
    let u = x.reshape([batch, nodes, 1])?.mul(&row(0)?)?.mul(&row(1)?)?.add(&row(2)?)?;
    let size = u.square()?.mean(&[1], true)?.add_scalar(1e-6)?.sqrt()?;
    let tok = u.div(&size)?.mul(&row(3)?)?;
    let ramp: Vec<f32> =
        (0..steps).map(|t| 1.0 + 0.02 * t as f32 / (steps.max(2) - 1) as f32).collect();
    let ramp = x.tape().constant(&Tensor::from_slice(x.device(), &ramp, [steps, 1, 1, 1])?);
    let part = |i: usize| step.narrow(0, i..i + 1)?.reshape([steps, 1, 1, width]);
    part(0)?.mul(&tok)?.add(&part(1)?)?.mul(&ramp)
}

#[test]
fn lines_of_tokens() {
    let lines = |v: &[Var]| {
        let (mean, variance) = (v[0].mean(&[1], false)?, v[0].variance(&[1], false, 0)?);
        node_lines(&v[0], &token_lines(&mean, &variance, &v[1], &v[2])?)
    };
    for (steps, batch, nodes, width) in [(1, 1, 2, 1), (4, 3, 11, 5), (2, 5, 300, 70)] {
        conform(&format!("tokens {steps} x {batch} x {nodes} x {width}"), 5e-5, |device| {
            let tape = Tape::new();
            let shapes = [vec![batch, nodes], vec![4, width], vec![2, steps, width]];
            let leaf =
                |(i, s): (usize, &Vec<usize>)| Ok(tape.leaf(&data(device, s, i as u64 + 1)?));
            let v = shapes.iter().enumerate().map(leaf).collect::<Result<Vec<_>>>()?;
            let y = lines(&v)?;
            let gradients = y.backward_from(&data(device, y.shape(), 4)?)?;
            let g = v.iter().map(|v| gradients.get(v).unwrap().clone());
            Ok([y.value().clone()].into_iter().chain(g).collect())
        });
    }
    let values = |count, seed| Random::new(seed).values(count, -1.0, 1.0);
    let values = |count, seed| values(count, seed).iter().map(|v| f64::from(*v)).collect();
    let inputs =
        [(values(14, 1), [2, 7].as_slice()), (values(12, 2), &[4, 3]), (values(18, 3), &[2, 3, 3])];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let y = lines(v)?;
        // The ramp is an f32 here.
        assert_close("tokens", y.value(), embedded(&v[0], &v[1], &v[2])?.value(), 1e-7);
        Ok(vec![y])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-6, "{outcome:?}");
    let tape = Tape::new();
    let v = |shape: &[usize]| tape.leaf(&data(oracle(), shape, 1).unwrap());
    assert!(token_lines(&v(&[3]), &v(&[2]), &v(&[4, 5]), &v(&[2, 1, 5])).is_err());
    assert!(token_lines(&v(&[3]), &v(&[3]), &v(&[4, 5]), &v(&[2, 1, 4])).is_err());
    // Where a sum over steps and windows would be cut short, it is refused.
    for Subject { device, .. } in subjects() {
        if device.is_host() || !device.capabilities().software {
            continue;
        }
        let v = |shape: &[usize]| tape.leaf(&Tensor::zeros(device, shape, DType::F32).unwrap());
        let many = [1 << 14];
        let lines = token_lines(&v(&many), &v(&many), &v(&[4, 1]), &v(&[2, 3, 1]));
        assert!(matches!(lines, Err(Error::Limit { .. })), "{device}: {lines:?}");
    }
}
