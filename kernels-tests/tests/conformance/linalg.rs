//! Conformance of the `linalg` family.

use half::f16;
use kernels_tests::cases::plain_cooperative;
use kernels_tests::{ACTIVATIONS, Random, assert_close, conform, oracle, subjects};
use proptest::prelude::*;
use spikegrad::elementwise::Activation;
use spikegrad::linalg::{Layout, Matmul, MatmulKernel, linear, matmul};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor};

const LAYOUTS: [Layout; 3] = [Layout::NN, Layout::NT, Layout::TN];

fn random(device: &Device, seed: u64, shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

fn halves(device: &Device, seed: u64, shape: &[usize]) -> Result<Tensor> {
    let values = Random::new(seed).values(shape.iter().product(), -1.0, 1.0);
    let values: Vec<f16> = values.into_iter().map(f16::from_f32).collect();
    Tensor::from_slice(device, &values, shape)
}

fn spikes(device: &Device, seed: u64, shape: &[usize]) -> Result<Tensor> {
    let mut random = Random::new(seed);
    let spikes: Vec<bool> =
        (0..shape.iter().product()).map(|_| random.word().is_multiple_of(3)).collect();
    Tensor::from_bools(device, &spikes, shape)
}

/// Devices of this test alone: profiles and the shadow check see all that a device does.
fn own_devices() -> Vec<Device> {
    let open = |a: spikegrad::AdapterSummary| Device::select(&a.name).unwrap();
    let gpus = std::env::var("SPIKEGRAD_TEST_DEVICES").map_or_else(|_| Device::list(), |_| vec![]);
    [Device::host()].into_iter().chain(gpus.into_iter().map(open)).collect()
}

/// The stored shapes of both operands.
fn shapes(layout: Layout, m: usize, n: usize, k: usize) -> ([usize; 2], [usize; 2]) {
    match layout {
        Layout::NN => ([m, k], [k, n]),
        Layout::NT => ([m, k], [n, k]),
        Layout::TN => ([k, m], [k, n]),
    }
}

fn check_product(kernel: MatmulKernel, layout: Layout, m: usize, n: usize, k: usize) {
    let (a_shape, b_shape) = shapes(layout, m, n, k);
    conform(&format!("{kernel:?} {layout:?} {m} x {n} x {k}"), 1e-5, |d| {
        let (a, b) = (random(d, 1, &a_shape)?, random(d, 2, &b_shape)?);
        let bias = random(d, 3, &[n])?;
        let product = Matmul::new().layout(layout).kernel(kernel);
        Ok(vec![product.run(&a, &b)?, product.bias(&bias).run(&a, &b)?])
    });
}

/// Sums over blocks of a product, in place: small ones, and those whose depth is split.
#[test]
fn products_are_added() {
    for kernel in [MatmulKernel::Auto, MatmulKernel::Tiled, MatmulKernel::Naive] {
        for layout in LAYOUTS {
            for (m, n, k) in [(1, 1, 1), (17, 13, 11), (68, 36, 8), (5, 3, 2100), (12, 8, 2052)] {
                let (a_shape, b_shape) = shapes(layout, m, n, k);
                conform(&format!("{kernel:?} {layout:?} {m} x {n} x {k} added"), 1e-5, |d| {
                    let c = random(d, 3, &[m, n])?;
                    let product = Matmul::new().layout(layout).kernel(kernel);
                    for seed in [1, 5] {
                        let (a, b) = (random(d, seed, &a_shape)?, random(d, seed + 1, &b_shape)?);
                        product.add_to(&a, &b, &c)?;
                    }
                    Ok(vec![c])
                });
            }
        }
    }
    let d = oracle();
    let (a, c) = (random(d, 1, &[2, 3]).unwrap(), random(d, 2, &[2, 2]).unwrap());
    let before = c.to_vec::<f64>().unwrap();
    let product = Matmul::new().layout(Layout::NT);
    let plain = product.run(&a, &a).unwrap().to_vec::<f64>().unwrap();
    product.add_to(&a, &a, &c).unwrap();
    for ((c, before), plain) in c.to_vec::<f64>().unwrap().iter().zip(before).zip(plain) {
        approx::assert_abs_diff_eq!(*c, before + plain, epsilon = 1e-12);
    }
    let bias = random(d, 3, &[2]).unwrap();
    assert!(product.add_to(&a, &a, &random(d, 1, &[2, 3]).unwrap()).is_err());
    assert!(product.bias(&bias).add_to(&a, &a, &c).is_err());
    assert!(product.activation(Activation::Relu).add_to(&a, &a, &c).is_err());
    assert!(product.output(DType::F16).add_to(&a, &a, &c).is_err());
    assert!(product.add_to(&a, &a, &Tensor::zeros(d, [2, 2], DType::U32).unwrap()).is_err());
}

/// The definition, against which the oracle itself is checked.
#[test]
fn the_oracle_follows_the_definition() {
    let (m, n, k) = (5, 3, 7);
    for layout in LAYOUTS {
        let (a_shape, b_shape) = shapes(layout, m, n, k);
        let a = random(oracle(), 1, &a_shape).unwrap();
        let b = random(oracle(), 2, &b_shape).unwrap();
        let c = matmul(&a, &b, layout).unwrap().to_vec::<f64>().unwrap();
        let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
        for (i, c) in c.iter().enumerate() {
            let (row, col) = (i / n, i % n);
            let at = |l: usize| {
                let a = if layout == Layout::TN { a[l * m + row] } else { a[row * k + l] };
                a * if layout == Layout::NT { b[col * k + l] } else { b[l * n + col] }
            };
            let sum: f64 = (0..k).map(at).sum();
            approx::assert_abs_diff_eq!(*c, sum, epsilon = 1e-12);
        }
    }
}

#[test]
fn products_of_chosen_sizes() {
    let sizes = [(1, 1, 1), (17, 13, 11), (64, 64, 64), (8, 12, 6), (68, 132, 36), (3, 100, 2)];
    for kernel in [MatmulKernel::Auto, MatmulKernel::Tiled, MatmulKernel::Naive] {
        for layout in LAYOUTS {
            for (m, n, k) in sizes {
                check_product(kernel, layout, m, n, k);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_of_random_sizes(
        m in 1usize..90, n in 1usize..90, k in 1usize..90, aligned: bool, layout in 0usize..3,
        tiled: bool,
    ) {
        let round = |v: usize| if aligned { v.next_multiple_of(4) } else { v };
        let kernel = if tiled { MatmulKernel::Tiled } else { MatmulKernel::Auto };
        check_product(kernel, LAYOUTS[layout], round(m), round(n), round(k));
    }

    #[test]
    fn spikes_of_random_sizes(
        steps in 1usize..70, lanes in 1usize..6, k in 1usize..20, n in 1usize..20, aligned: bool,
    ) {
        let scale = if aligned { 4 } else { 1 };
        check_spikes(&[steps, lanes, k * scale], n * scale);
    }
}

#[test]
fn deep_products_are_split_and_summed() {
    for (m, n, k) in [(8, 8, 3001), (3, 5, 2000), (16, 12, 4096)] {
        for layout in LAYOUTS {
            check_product(MatmulKernel::Auto, layout, m, n, k);
            check_product(MatmulKernel::Tiled, layout, m, n, k);
        }
    }
}

#[test]
fn more_workgroups_than_an_axis_holds() {
    check_product(MatmulKernel::Auto, Layout::NN, 4_300_003, 1, 1);
    conform("spikes of many samples", 1e-5, |d| {
        let tape = Tape::off();
        let x = tape.constant(&spikes(d, 1, &[1, 1_050_003, 1])?);
        let w = tape.constant(&random(d, 2, &[1, 1])?);
        Ok(vec![linear(&x, &w, None, Activation::Identity)?.value().clone()])
    });
}

#[test]
fn batches() {
    conform("batched products", 1e-5, |d| {
        let (a, b) = (random(d, 1, &[2, 3, 5, 8])?, random(d, 2, &[2, 3, 8, 12])?);
        let (c, e) = (random(d, 3, &[8, 12])?, random(d, 4, &[5, 12])?);
        let tn = random(d, 5, &[2, 3, 5, 12])?;
        Ok(vec![
            matmul(&a, &b, Layout::NN)?,
            matmul(&a, &c, Layout::NN)?,
            matmul(&e, &b.reshape([6, 8, 12])?, Layout::NT)?,
            matmul(&a, &tn, Layout::TN)?,
            matmul(&a, &e, Layout::TN)?,
            Matmul::new().kernel(MatmulKernel::Tiled).run(&a, &b)?,
            Matmul::new().kernel(MatmulKernel::Naive).run(&a, &b)?,
        ])
    });
}

#[test]
fn half_operands_and_outputs() {
    for (m, n, k) in [(9, 7, 5), (20, 24, 36)] {
        for layout in LAYOUTS {
            for kernel in [MatmulKernel::Auto, MatmulKernel::Tiled] {
                let (a_shape, b_shape) = shapes(layout, m, n, k);
                let run = |d: &Device, output| {
                    let (a, b) = (halves(d, 1, &a_shape)?, halves(d, 2, &b_shape)?);
                    let bias = random(d, 3, &[n])?;
                    let product = Matmul::new().layout(layout).kernel(kernel).bias(&bias);
                    product.output(output).run(&a, &b)
                };
                let what = format!("f16 {layout:?} {kernel:?} {m} x {n} x {k}");
                conform(&what, 1e-5, |d| Ok(vec![run(d, DType::F32)?]));
                conform(&what, 1e-3, |d| Ok(vec![run(d, DType::F16)?]));
            }
        }
    }
    conform("f32 to f16", 1e-3, |d| {
        let (a, b) = (random(d, 1, &[5, 3])?, random(d, 2, &[3, 3])?);
        Ok(vec![Matmul::new().output(DType::F16).run(&a, &b)?])
    });
}

#[test]
fn half_operands_have_gradients() {
    conform("f16 gradients", 1e-5, |d| {
        let tape = Tape::new();
        let a = tape.leaf(&halves(d, 1, &[5, 7])?);
        let b = tape.leaf(&halves(d, 2, &[7, 3])?);
        let gradients = a.matmul(&b)?.backward_from(&random(d, 3, &[5, 3])?)?;
        Ok(vec![gradients.get(&a).unwrap().clone(), gradients.get(&b).unwrap().clone()])
    });
}

/// `linear` and all its gradients on packed spikes, and the same with the spikes as floats.
fn check_spikes(shape: &[usize], n: usize) {
    let k = *shape.last().unwrap();
    let mut out = shape.to_vec();
    *out.last_mut().unwrap() = n;
    conform(&format!("spikes {shape:?} times {n}"), 1e-5, |d| {
        let packed = spikes(d, 1, shape)?;
        let floats: Vec<f32> = packed.to_bools()?.into_iter().map(|s| f32::from(s as u8)).collect();
        let floats = Tensor::from_slice(d, &floats, shape)?;
        let run = |x: &Tensor| -> Result<Vec<Tensor>> {
            let tape = Tape::new();
            let x = tape.leaf(x);
            let (w, b) = (tape.leaf(&random(d, 2, &[k, n])?), tape.leaf(&random(d, 3, &[n])?));
            let y = linear(&x, &w, Some(&b), Activation::Tanh)?;
            let gradients = y.backward_from(&random(d, 4, &out)?)?;
            let of = |v| gradients.get(v).unwrap().clone();
            Ok(vec![y.value().clone(), of(&x), of(&w), of(&b)])
        };
        let (bits, dense) = (run(&packed)?, run(&floats)?);
        for (i, (bits, dense)) in bits.iter().zip(&dense).enumerate() {
            assert_close(&format!("bits and floats, output {i} on {d}"), bits, dense, 1e-5);
        }
        Ok(bits)
    });
}

#[test]
fn spikes_of_any_length() {
    for steps in [1, 4, 25, 33, 64] {
        check_spikes(&[steps, 3, 12], 8);
        check_spikes(&[steps, 2, 5], 3);
    }
    check_spikes(&[5, 2, 3, 7], 6);
    check_spikes(&[6, 9], 2);
    // Deep enough for the weight gradient to be split.
    check_spikes(&[33, 40, 6], 5);
}

#[test]
fn linear_on_devices() {
    for activation in ACTIVATIONS.into_iter().chain([Activation::Identity]) {
        for (rows, k, n) in [(13, 7, 5), (40, 16, 8)] {
            conform(&format!("linear {activation:?} {rows} x {k} x {n}"), 2e-5, |d| {
                let tape = Tape::new();
                let x = tape.leaf(&random(d, 1, &[rows, 1, k])?);
                let (w, b) = (tape.leaf(&random(d, 2, &[k, n])?), tape.leaf(&random(d, 3, &[n])?));
                let y = linear(&x, &w, Some(&b), activation)?;
                let gradients = y.backward_from(&random(d, 4, &[rows, 1, n])?)?;
                let of = |v| gradients.get(v).unwrap().clone();
                Ok(vec![y.value().clone(), of(&x), of(&w), of(&b)])
            });
        }
    }
}

#[test]
fn linear_is_differentiated_rightly() {
    let mut random = Random::new(5);
    let mut input = |count| -> Vec<f64> {
        random.values(count, -1.0, 1.0).into_iter().map(f64::from).collect()
    };
    let (x, w, b) = (input(2 * 3 * 4), input(4 * 5), input(5));
    for activation in ACTIVATIONS.into_iter().chain([Activation::Identity]) {
        let inputs = [
            (x.clone(), [2, 3, 4].as_slice()),
            (w.clone(), [4, 5].as_slice()),
            (b.clone(), [5].as_slice()),
        ];
        let outcome = gradient_check(&inputs, 1e-6, |v| {
            Ok(vec![linear(&v[0], &v[1], Some(&v[2]), activation)?])
        });
        let outcome = outcome.unwrap();
        assert!(outcome.error < 1e-6, "{activation:?}: {outcome:?}");
    }
}

#[test]
fn products_are_differentiated_rightly() {
    let cases: [(Layout, &[usize], &[usize]); 9] = [
        (Layout::NN, &[3, 4], &[4, 2]),
        (Layout::NT, &[3, 4], &[2, 4]),
        (Layout::TN, &[4, 3], &[4, 2]),
        (Layout::NN, &[2, 3, 4], &[2, 4, 2]),
        (Layout::NN, &[2, 3, 4], &[4, 2]),
        (Layout::NT, &[2, 3, 4], &[2, 4]),
        (Layout::TN, &[2, 4, 3], &[4, 2]),
        (Layout::NN, &[3, 4], &[2, 4, 2]),
        (Layout::TN, &[4, 3], &[2, 4, 2]),
    ];
    for (layout, a, b) in cases {
        let input = |seed, shape: &[usize]| -> Vec<f64> {
            let count = shape.iter().product();
            Random::new(seed).values(count, -1.0, 1.0).into_iter().map(f64::from).collect()
        };
        let outcome = gradient_check(&[(input(1, a), a), (input(2, b), b)], 1e-6, |v| {
            Ok(vec![match layout {
                Layout::NN => v[0].matmul(&v[1])?,
                Layout::NT => v[0].matmul_nt(&v[1])?,
                Layout::TN => v[0].matmul_tn(&v[1])?,
            }])
        });
        let outcome = outcome.unwrap();
        assert!(outcome.error < 1e-7, "{layout:?} {a:?} {b:?}: {outcome:?}");
    }
}

#[test]
fn the_same_bits_every_time() {
    for s in subjects() {
        let d = &s.device;
        let run = || -> Result<Vec<u32>> {
            let (a, b) = (random(d, 1, &[37, 3001])?, random(d, 2, &[3001, 9])?);
            let mut all = matmul(&a, &b, Layout::NN)?.to_vec::<f32>()?;
            let tape = Tape::new();
            let w = tape.leaf(&random(d, 3, &[6, 5])?);
            let y =
                linear(&tape.constant(&spikes(d, 4, &[33, 40, 6])?), &w, None, Activation::Relu)?;
            let gradients = y.backward_from(&random(d, 5, &[33, 40, 5])?)?;
            all.extend(gradients.get(&w).unwrap().to_vec::<f32>()?);
            Ok(all.into_iter().map(f32::to_bits).collect())
        };
        assert_eq!(run().unwrap(), run().unwrap(), "{}", s.label);
    }
}

#[test]
fn few_launches_a_step() {
    for d in &own_devices() {
        let tape = Tape::new();
        let x = tape.constant(&random(d, 1, &[16, 8, 12]).unwrap());
        let w = tape.leaf(&random(d, 2, &[12, 8]).unwrap());
        let b = tape.leaf(&random(d, 3, &[8]).unwrap());
        let seed = random(d, 4, &[16, 8, 8]).unwrap();
        let (_, profile) = d
            .profile(|| {
                let y = linear(&x, &w, Some(&b), Activation::Identity)?;
                y.backward_from(&seed)
            })
            .unwrap();
        assert_eq!(profile.launches(), 2, "{d}");
        let flops: f64 = profile.rows().iter().map(|r| r.flops).sum();
        assert_eq!(flops, 2.0 * 2.0 * 128.0 * 12.0 * 8.0);
    }
}

#[test]
fn shadowed_products_agree() {
    for d in &own_devices() {
        d.shadow(true);
        let run = || -> Result<()> {
            let (a, b) = (random(d, 1, &[12, 2000])?, random(d, 2, &[2000, 8])?);
            let _ = matmul(&a, &b, Layout::NN)?;
            let tape = Tape::new();
            let w = tape.leaf(&random(d, 3, &[6, 5])?);
            let b = tape.leaf(&random(d, 6, &[5])?);
            let x = tape.constant(&spikes(d, 4, &[33, 40, 6])?);
            let y = linear(&x, &w, Some(&b), Activation::Gelu)?;
            y.backward_from(&random(d, 5, &[33, 40, 5])?).map(|_| ())
        };
        run().unwrap_or_else(|e| panic!("{d}: {e}"));
    }
}

#[test]
fn extents_of_zero() {
    for s in subjects() {
        let d = &s.device;
        let empty = |shape: [usize; 2]| Tensor::zeros(d, shape, DType::F32).unwrap();
        let bias = Tensor::from_slice(d, &[1.0f32, -2.0], [2]).unwrap();
        let product = Matmul::new().bias(&bias);
        let c = product.run(&empty([3, 0]), &empty([0, 2])).unwrap();
        let expected = [1.0, -2.0, 1.0, -2.0, 1.0, -2.0];
        assert_eq!(c.to_vec::<f32>().unwrap(), expected, "{}", s.label);
        assert_eq!(product.run(&empty([0, 3]), &empty([3, 2])).unwrap().count(), 0);
        let tape = Tape::new();
        let (x, w) = (tape.leaf(&empty([3, 0])), tape.leaf(&empty([0, 2])));
        let b = tape.leaf(&bias);
        let y = linear(&x, &w, Some(&b), Activation::Identity).unwrap();
        let seed = random(d, 1, &[3, 2]).unwrap();
        let gradients = y.backward_from(&seed).unwrap();
        assert_eq!(gradients.get(&w).unwrap().count(), 0);
        let v = seed.to_vec::<f32>().unwrap();
        let found = gradients.get(&b).unwrap().to_vec::<f32>().unwrap();
        assert!((found[0] - (v[0] + v[2] + v[4])).abs() < 1e-6, "{}", s.label);
    }
}

#[test]
fn mistakes_are_errors() {
    let d = &Device::host();
    let float = |shape: &[usize]| random(d, 1, shape).unwrap();
    let shape = |r: Result<Tensor>| assert!(matches!(r, Err(Error::Shape { .. })), "{r:?}");
    let dtype = |r: Result<Tensor>| assert!(matches!(r, Err(Error::DType { .. })), "{r:?}");
    shape(matmul(&float(&[2, 3]), &float(&[2, 3]), Layout::NN));
    shape(matmul(&float(&[3]), &float(&[3, 2]), Layout::NN));
    shape(matmul(&float(&[2, 2, 3]), &float(&[3, 3, 2]), Layout::NN));
    shape(Matmul::new().bias(&float(&[3])).run(&float(&[2, 3]), &float(&[3, 2])));
    let half = halves(d, 1, &[3, 2]).unwrap();
    dtype(matmul(&float(&[2, 3]), &half, Layout::NN));
    dtype(matmul(&spikes(d, 1, &[2, 3]).unwrap(), &float(&[3, 2]), Layout::NN));
    let words = Tensor::zeros(d, [3, 2], DType::U32).unwrap();
    dtype(matmul(&words, &words, Layout::NN));
    let other = random(oracle(), 1, &[3, 2]).unwrap();
    let foreign = matmul(&float(&[2, 3]), &other, Layout::NN);
    assert!(matches!(foreign, Err(Error::DeviceMismatch { .. })));
    let coop = Matmul::new().kernel(MatmulKernel::Coop).run(&half, &half.reshape([2, 3]).unwrap());
    assert!(matches!(coop, Err(Error::Unsupported { .. })), "{coop:?}");
    let tape = Tape::new();
    let run = |x: &Tensor, w: &Tensor| {
        linear(&tape.leaf(x), &tape.leaf(w), None, Activation::Identity).map(|y| y.value().clone())
    };
    shape(run(&float(&[2, 3]), &float(&[2, 3])));
    shape(run(&float(&[2, 3]), &float(&[3])));
    shape(run(&spikes(d, 1, &[3]).unwrap(), &float(&[3, 2])));
    dtype(run(&float(&[2, 3]), &half));
    dtype(run(&half, &float(&[2, 3])));
}

/// The kernel for cooperative matrices computes the right thing where there are none.
#[test]
fn the_plain_variant_of_the_cooperative_kernel() {
    conform("cooperative kernel, plain variant", 1e-5, |d| {
        let (a, b) = (halves(d, 1, &[32, 16])?, halves(d, 2, &[16, 48])?);
        let c = plain_cooperative(&a, &b)?;
        assert_close(&format!("{d}"), &c, &matmul(&a, &b, Layout::NN)?, 1e-5);
        Ok(vec![c])
    });
}

/// Cooperative matrices against the oracle's product, wherever an adapter has them.
#[test]
fn cooperative_matrices() {
    let (mut checked, mut skipped) = (0, Vec::new());
    for adapter in Device::list() {
        let device = Device::builder().select(&adapter.name).coop_matrix(true).open().unwrap();
        if device.capabilities().coop_matrix.is_none() {
            skipped.push(adapter.name);
            continue;
        }
        for [m, n, k] in [[16, 16, 16], [32, 48, 16], [16, 32, 4096], [256, 256, 256]] {
            let product = |d: &Device, kernel| {
                let (a, b) = (halves(d, 1, &[m, k]).unwrap(), halves(d, 2, &[k, n]).unwrap());
                Matmul::new().kernel(kernel).run(&a, &b)
            };
            let expected = product(oracle(), MatmulKernel::Auto).unwrap();
            let found =
                product(&device, MatmulKernel::Coop).unwrap_or_else(|e| panic!("{device}: {e}"));
            assert_close(&format!("{m} x {n} x {k} on {device}"), &found, &expected, 1e-5);
        }
        checked += 1;
    }
    // `everywhere/mesa` brings an adapter that has them.
    let wanted = std::env::var_os("SPIKEGRAD_TEST_MATRICES").is_some();
    assert!(!wanted || checked > 0, "no adapter has cooperative matrices: {skipped:?}");
    if !skipped.is_empty() {
        eprintln!("skipped, for want of cooperative matrices: {}", skipped.join(", "));
    }
}
