//! Numbers from the ends of f32: an outcome that f32 holds is as accurate there as elsewhere.

use super::subjects;
use super::{Input, input, none, run};
use kernels_tests::{Random, Subject, oracle};
use spikegrad::nn::{BatchNorm, InstanceNorm, Module};
use spikegrad::{Result, Tape, Tensor, Var, loss};

/// What an input is multiplied with.
const SIZES: [f32; 11] = [1e-37, 1e-30, 1e-24, 1e-16, 1e-10, 1.0, 1e10, 1e16, 1e24, 1e30, 1e38];

/// Compares outputs and gradients with the oracle's, relative to the largest of each, where inputs
/// `scaled` are of every size. What f32 does not hold is not compared.
fn faults(
    what: &str,
    tolerance: f64,
    inputs: &[Input],
    scaled: &[usize],
    f: impl Fn(&[Var]) -> Result<Var>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let plain: Vec<Vec<f32>> = (0u64..).zip(inputs).map(|(s, i)| i.values(21 + s)).collect();
    for size in SIZES {
        let mut values = plain.clone();
        for which in scaled {
            values[*which].iter_mut().for_each(|v| *v *= size);
        }
        values.push(Vec::new());
        let y = run(oracle(), inputs, &values, true, &f).unwrap_or_else(|e| panic!("{what}: {e}"));
        values[inputs.len()] = Random::new(3).values(y[0].len(), 0.5, 1.5);
        let outcome = |device| run(device, inputs, &values, true, &f).unwrap();
        let expected = outcome(oracle());
        // Nor what follows from it.
        if expected[0].iter().any(|v| v.abs() > f64::from(f32::MAX)) {
            continue;
        }
        for Subject { label, device } in subjects() {
            for (o, (found, expected)) in outcome(device).iter().zip(&expected).enumerate() {
                let most = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                // Below, differences are subnormal, which devices may take for zero.
                if !(1e-31..=f64::from(f32::MAX)).contains(&most) {
                    continue;
                }
                let error =
                    |(a, b): (&f64, &f64)| if a.is_finite() { (a - b).abs() / most } else { 9.9 };
                let worst = found.iter().zip(expected).map(error).fold(0.0, f64::max);
                if worst > tolerance {
                    faults.push(format!(
                        "{what} at {size:e} on {label}, output {o}: off by {worst:e} of {most:e}"
                    ));
                }
            }
        }
    }
    faults
}

/// Rows for one invocation and for a workgroup.
const ROWS: [&[usize]; 2] = [&[5, 16], &[3, 200]];

#[test]
fn normalisations() {
    let mut all = Vec::new();
    for shape in ROWS {
        let width: &'static [usize] = &shape[1..];
        let x = [input(shape, -3.0, 3.0), input(width, 0.5, 1.5), input(width, -1.0, 1.0)];
        // What f32 holds of the sum.
        let half = input(shape, -1.0, 1.0);
        let both = [half, half, x[1], x[2]];
        for eps in [1e-3, 2e-38] {
            let layer = |v: &[Var]| v[0].layer_norm(&v[1], Some(&v[2]), eps);
            all.extend(faults(&format!("layer norm {eps}"), 2e-5, &x, &[0], layer));
            let add = |v: &[Var]| v[0].add_layer_norm(&v[1], &v[2], Some(&v[3]), eps);
            all.extend(faults(&format!("sum, layer norm {eps}"), 2e-5, &both, &[0, 1], add));
            let rms = |v: &[Var]| v[0].rms_norm(&v[1], eps);
            all.extend(faults(&format!("rms norm {eps}"), 2e-5, &x[..2], &[0], rms));
        }
        let weight = |v: &[Var]| v[0].weight_norm(&v[1]);
        all.extend(faults("weight norm", 2e-5, &x[..2], &[0], weight));
    }
    none(&all);
}

/// Of channels and of series: the deviation is a number where the variance is none.
#[test]
fn normalisations_of_columns() {
    let mut all = Vec::new();
    for shape in [&[16usize, 5] as &'static [usize], &[2_000, 3]] {
        let x = [input(shape, -3.0, 3.0)];
        for training in [true, false] {
            all.extend(faults(&format!("batch norm, {training}"), 2e-5, &x, &[0], |v| {
                let norm = BatchNorm::new(shape[1], v[0].device())?;
                let _ = kernels_tests::forward(&norm, &v[0], true)?;
                kernels_tests::forward(&norm, &v[0], training)
            }));
        }
        all.extend(faults("instance norm", 2e-5, &x, &[0], |v| {
            InstanceNorm::of(v[0].value())?.apply(&v[0])
        }));
        all.extend(faults("instance norm, undone", 2e-5, &x, &[0], |v| {
            let norm = InstanceNorm::of(v[0].value())?;
            norm.undo(&norm.apply(&v[0])?)
        }));
    }
    none(&all);
}

type Norm<'a> = dyn Fn(&Var) -> Result<Var> + 'a;

/// Both ends of f32 in one column.
#[test]
fn columns_of_the_largest_numbers() {
    let x = [3e38f32, -3e38, 3e38, 1.0, -3e38, 0.0, 3e38, -3e38];
    for Subject { label, device } in subjects() {
        let norm = BatchNorm::new(1, device).unwrap();
        let batch = |x: &Var| kernels_tests::forward(&norm, x, true);
        let series = |x: &Var| InstanceNorm::of(x.value())?.apply(x);
        let runs: [&Norm<'_>; 2] = [&batch, &series];
        let spread = (6f64 / 8.0).sqrt();
        for run in runs {
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from_slice(device, &x, [8, 1]).unwrap());
            let y = run(&x).unwrap();
            let found = y.value().to_vec::<f64>().unwrap();
            let expected = [1.0, -1.0, 1.0, 0.0, -1.0, 0.0, 1.0, -1.0].map(|v| v / spread);
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-5, "{label}: {found:?}");
            }
            let g = y.sum_all().unwrap().backward().unwrap();
            let g = g.get(&x).unwrap().to_vec::<f32>().unwrap();
            assert!(g.iter().all(|g| g.abs() < 1e-37), "{label}: {g:?}");
        }
        let found = norm.buffers()[1].value().to_vec::<f64>().unwrap()[0];
        let expected = (0.1f64 * 6.0 / 7.0).sqrt() * 3e38;
        assert!((found / expected - 1.0).abs() < 1e-5, "{label}: {found:e}, not {expected:e}");
    }
}

/// Moduli, phases and hypotenuses.
#[test]
fn lengths_and_angles() {
    let mut all = Vec::new();
    let z = [input(&[40, 2], -1.5, 1.5)];
    let two = [input(&[40], -1.5, 1.5), input(&[40], -1.5, 1.5)];
    all.extend(faults("modulus", 1e-6, &z, &[0], |v| v[0].modulus()));
    all.extend(faults("phase", 1e-6, &z, &[0], |v| v[0].phase()));
    all.extend(faults("hypot", 1e-6, &two, &[0, 1], |v| v[0].hypot(&v[1])));
    none(&all);
    // Below the sizes that gradients allow: subnormal numbers have a phase, or are 0 on an adapter.
    let tiny = [1e-38f32, 1e-38, -3e-38, 1e-38, 2e-40, -2e-40, 1e-38, 0.0, 0.0, -2e-38];
    let expected =
        tiny.as_chunks::<2>().0.iter().map(|[re, im]| f64::from(*im).atan2(f64::from(*re)));
    let expected: Vec<f64> = expected.collect();
    for Subject { label, device } in subjects() {
        let z = Tape::off().constant(&Tensor::from_slice(device, &tiny, [5, 2]).unwrap());
        let found = z.phase().unwrap().value().to_vec::<f64>().unwrap();
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            let flushed = *a == 0.0 && label != "host";
            assert!((a - b).abs() < 1e-6 || flushed, "{label}: [{i}] is {a}, not {b}");
        }
    }
}

/// Rows of the largest numbers, of one sign or both, and rows that do not change.
#[test]
fn rows_of_the_largest_numbers() {
    const MOST: f32 = 3e38;
    let rows = [
        [MOST, -MOST, MOST, -MOST],
        [MOST, MOST, MOST, -MOST],
        [-MOST, 1.0, 0.0, 1e-45],
        [MOST; 4],
        [1.5e20; 4],
        [1e-40; 4],
        [0.0; 4],
        [f32::MAX, f32::MIN, f32::MAX, f32::MIN_POSITIVE],
    ];
    let x = [input(&[8, 4], 0.0, 1.0), input(&[4], 0.5, 1.5), input(&[4], 0.5, 1.5)];
    let seed = Random::new(4).values(32, -1.0, 1.0);
    let values = [rows.concat(), x[1].values(1), x[2].values(2), seed];
    for (eps, rms) in [1e-5, 1e-12, 2e-38].into_iter().flat_map(|e| [(e, false), (e, true)]) {
        let f = |v: &[Var]| match rms {
            false => v[0].layer_norm(&v[1], Some(&v[2]), eps),
            true => v[0].rms_norm(&v[1], eps)?.add(&v[2]),
        };
        let expected = run(oracle(), &x, &values, true, &f).unwrap();
        for Subject { label, device } in subjects() {
            let found = run(device, &x, &values, true, &f).unwrap();
            for (o, (found, expected)) in found.iter().zip(&expected).enumerate() {
                for (i, (a, b)) in found.iter().zip(expected).enumerate() {
                    assert!(
                        (a - b).abs() <= 2e-5 * b.abs().max(1.0),
                        "eps {eps:e}, rms {rms}, {label}, output {o} [{i}]: {a:e}, not {b:e}"
                    );
                }
            }
        }
    }
}

/// Rows and columns, short, and of several parts.
#[test]
fn moments() {
    let mut all = Vec::new();
    for shape in [&[5usize, 16] as &'static [usize], &[3, 200], &[2, 20_000]] {
        // What is added up is beyond f32 long before the mean is.
        let x = [input(shape, -3.0, 3.0)];
        let above = [input(shape, 1.0, 3.0)];
        let y = [x[0], x[0]];
        for axes in [&[0usize] as &[usize], &[1], &[0, 1]] {
            let what = |name: &str| format!("{name} over {axes:?} of {shape:?}");
            all.extend(faults(&what("norm"), 1e-5, &x, &[0], |v| v[0].norm(axes, false)));
            all.extend(faults(&what("mean"), 1e-5, &above, &[0], |v| v[0].mean(axes, false)));
            let variance = |v: &[Var]| v[0].variance(axes, false, 1);
            all.extend(faults(&what("variance"), 1e-4, &x, &[0], variance));
            let deviation = |v: &[Var]| v[0].standard_deviation(axes, false, 1);
            all.extend(faults(&what("standard deviation"), 1e-3, &x, &[0], deviation));
        }
        all.extend(faults("mse", 1e-5, &y, &[0, 1], |v| loss::mse(&v[0], &v[1])));
        all.extend(faults("rate_mse", 1e-5, &above, &[0], |v| loss::rate_mse(&v[0], 0.1)));
    }
    none(&all);
}

/// Squared errors that f32 holds one by one, and their sum not.
#[test]
fn errors_of_large_squares() {
    let mut all = Vec::new();
    for shape in [&[5usize, 16] as &'static [usize], &[3, 200], &[2, 20_000]] {
        let x = [input(shape, 8e18, 1.2e19)];
        all.extend(faults("rate_mse", 1e-5, &x, &[], |v| loss::rate_mse(&v[0], 0.1)));
        let apart = [input(shape, 4e18, 6e18), input(shape, -6e18, -4e18)];
        all.extend(faults("mse", 1e-5, &apart, &[], |v| loss::mse(&v[0], &v[1])));
    }
    none(&all);
}

/// One number that is far above all others.
#[test]
fn moments_with_an_outlier() {
    let shape: &'static [usize] = &[2, 900];
    let mut values = Random::new(5).values(1800, 0.5, 1.5);
    (values[7], values[910]) = (-3e20, 3e20);
    let x = [input(shape, 0.0, 1.0), input(shape, 0.0, 1.0)];
    let inputs = [values.clone(), vec![0.0; 1800], vec![1.0; 2]];
    type Run = fn(&[Var]) -> Result<Var>;
    let runs: [(&str, Run); 3] = [
        ("variance", |v| v[0].variance(&[1], false, 0)),
        ("norm", |v| v[0].norm(&[1], false)),
        ("mse", |v| loss::mse(&v[0], &v[1])),
    ];
    for (what, f) in runs {
        let expected = run(oracle(), &x, &inputs, true, &f).unwrap();
        for Subject { label, device } in subjects() {
            let found = run(device, &x, &inputs, true, &f).unwrap();
            for (a, b) in found[0].iter().zip(&expected[0]) {
                assert!((a - b).abs() <= 1e-5 * b.abs(), "{what} on {label}: {a:e}, not {b:e}");
            }
        }
    }
}
