//! Conformance of the `loss` family.

use kernels_tests::{Random, assert_close, conform, oracle, subjects};
use spikegrad::loss::{self, CrossEntropy, LinearCrossEntropy, Reduction};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

fn data(device: &Device, shape: &[usize], low: f32, high: f32) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(count as u64).values(count, low, high), shape)
}

/// The target of rows that are padding.
const PADDING: u32 = u32::MAX;

/// Classes below `classes`, two of them padding where `spoil`.
fn targets(device: &Device, shape: &[usize], classes: usize, spoil: bool) -> Result<Tensor> {
    let mut random = Random::new(classes as u64);
    let count: usize = shape.iter().product();
    let mut values: Vec<u32> = (0..count).map(|_| random.word() % classes as u32).collect();
    if spoil {
        values[count - 1] = PADDING;
        values[count / 2] = PADDING;
    }
    Tensor::from_slice(device, &values, shape)
}

/// A spike train as packed spikes and as floats.
fn trains(device: &Device, shape: &[usize]) -> Result<[Tensor; 2]> {
    let mut random = Random::new(shape[0] as u64);
    let count: usize = shape.iter().product();
    let spikes: Vec<bool> = (0..count).map(|_| random.word().is_multiple_of(5)).collect();
    let floats: Vec<f32> = spikes.iter().map(|s| f32::from(u8::from(*s))).collect();
    Ok([Tensor::from_bools(device, &spikes, shape)?, Tensor::from_slice(device, &floats, shape)?])
}

/// A loss, and its gradient with an upstream of 3.
fn with_gradient(loss: &Var, leaf: &Var) -> Result<Vec<Tensor>> {
    let seed = Tensor::from_slice(loss.device(), &[3.0f32], [])?;
    let gradient = loss.backward_from(&seed)?.get(leaf).unwrap().clone();
    Ok(vec![loss.value().clone(), gradient])
}

#[test]
fn cross_entropy_agrees_with_the_oracle() {
    let cases: [(&[usize], f32, Reduction, bool); 7] = [
        (&[1, 1], 0.0, Reduction::Mean, false),
        (&[3, 10], 0.0, Reduction::Mean, false),
        (&[7, 5, 11], 0.1, Reduction::Sum, false),
        (&[13, 3], 0.2, Reduction::Mean, true),
        (&[5, 1001], 0.1, Reduction::Mean, true),
        (&[5003, 65], 0.0, Reduction::Sum, true),
        (&[5003, 4], 0.0, Reduction::Mean, false),
    ];
    for (shape, smoothing, reduction, spoil) in cases {
        let what = format!("cross_entropy {shape:?} {smoothing} {reduction:?} {spoil}");
        conform(&what, 5e-6, |device| {
            let classes = shape[shape.len() - 1];
            let t = targets(device, &shape[..shape.len() - 1], classes, spoil)?;
            let tape = Tape::new();
            let x = tape.leaf(&data(device, shape, -10.0, 40.0)?);
            let ignore_index = spoil.then_some(PADDING);
            let plain = CrossEntropy::default();
            let options = CrossEntropy { smoothing, reduction, ignore_index, ..plain };
            with_gradient(&loss::cross_entropy(&x, &t, options)?, &x)
        });
    }
}

#[test]
fn cross_entropy_has_its_known_values() {
    // Even logits: log C whatever the smoothing. A row of padding: nothing, and it does not count.
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &[1000.0f32; 8], [2, 4]).unwrap());
        for (second, reduction, rows) in
            [(3, Reduction::Mean, 2.0), (4, Reduction::Mean, 2.0), (4, Reduction::Sum, 2.0)]
        {
            let t = Tensor::from_slice(device, &[0u32, second], [2]).unwrap();
            let plain = CrossEntropy { smoothing: 0.3, reduction, ..CrossEntropy::default() };
            let options = CrossEntropy { ignore_index: Some(4), ..plain };
            let y = loss::cross_entropy(&x, &t, options).unwrap().value().item().unwrap();
            assert!((f64::from(y) - 4f64.ln() * rows / 2.0).abs() < 1e-6, "{}: {y}", subject.label);
        }
    }
}

/// `-ln (s(x_t) / sum s(x_c))`, plainly.
fn plain_stable_max(x: &[f64], t: usize) -> f64 {
    let s = |x: f64| if x >= 0.0 { x + 1.0 } else { 1.0 / (1.0 - x) };
    -(s(x[t]) / x.iter().map(|x| s(*x)).sum::<f64>()).ln()
}

#[test]
fn stable_max_is_the_papers() {
    let x = [3.0f32, -2.0, 0.0, 0.25, -1e-3, 1e4, -1e4, 7.0];
    let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    let expected = plain_stable_max(&wide[..4], 1) + plain_stable_max(&wide[4..], 2);
    for device in subjects().iter().map(|s| &s.device).chain([kernels_tests::oracle()]) {
        let leaf = Tape::new().leaf(&Tensor::from_slice(device, &x, [2, 4]).unwrap());
        let t = Tensor::from_slice(device, &[1u32, 2], [2]).unwrap();
        let options = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
        let y = loss::stable_max(&leaf, &t, options).unwrap().value().to_vec::<f64>().unwrap()[0];
        assert!((y - expected).abs() < 2e-6 * expected, "{device}: {y}, not {expected}");
    }
}

#[test]
fn scores_agree_with_the_oracle() {
    let stable = |x: &Var, t: &Tensor, o| loss::stable_max(x, t, o);
    let softmax = |x: &Var, t: &Tensor, o| loss::cross_entropy(x, t, o);
    type Loss<'a> = &'a dyn Fn(&Var, &Tensor, CrossEntropy) -> Result<Var>;
    let losses: [(&str, Loss<'_>); 2] = [("stable_max", &stable), ("cross_entropy", &softmax)];
    for (name, loss) in losses {
        for (rows, classes, temperature) in [(9, 2, 2.0), (7, 11, 0.25), (5, 1001, 3.0)] {
            let what = format!("{name} {rows}x{classes} at {temperature}");
            let options = CrossEntropy { smoothing: 0.1, temperature, ..CrossEntropy::default() };
            conform(&what, 5e-6, |device| {
                let t = targets(device, &[rows], classes, false)?;
                let x = Tape::new().leaf(&data(device, &[rows, classes], -9.0, 9.0)?);
                with_gradient(&loss(&x, &t, options)?, &x)
            });
        }
        let x: Vec<f64> = (0..15).map(|i| f64::from(i * 7 % 15) - 7.3).collect();
        let t = [3u32, 0, 4];
        let outcome = gradient_check(&[(x, &[3, 5])], 1e-5, |v| {
            let t = Tensor::from_slice(v[0].device(), &t, [3])?;
            let options = CrossEntropy { temperature: 1.7, ..CrossEntropy::default() };
            Ok(vec![loss(&v[0], &t, options)?])
        });
        assert!(outcome.unwrap().error < 1e-7, "{name}");
    }
}

#[test]
fn a_large_common_offset_changes_no_gradient() {
    conform("cross_entropy around 10^4", 2e-6, |device| {
        let mut random = Random::new(2);
        let values: Vec<f32> =
            (0..60).map(|_| 1e4 + (random.word() % 4096) as f32 / 512.0).collect();
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &values, [6, 10])?);
        let t = targets(device, &[6], 10, false)?;
        with_gradient(&loss::cross_entropy(&x, &t, CrossEntropy::default())?, &x)
    });
}

#[test]
fn losses_of_spike_trains_agree_with_the_oracle() {
    for shape in [[1, 1, 1], [33, 2, 3], [100, 7, 11], [20, 5, 1000], [3, 2, 150_000]] {
        conform(&format!("rate_mse {shape:?}"), 2e-6, |device| {
            let mut out = Vec::new();
            for train in trains(device, &shape)? {
                let tape = Tape::new();
                let s = tape.leaf(&train);
                out.extend(with_gradient(&loss::rate_mse(&s, 0.2)?, &s)?);
            }
            Ok(out)
        });
    }
    conform("rate and count cross-entropy", 5e-6, |device| {
        let mut out = Vec::new();
        let t = targets(device, &[6], 9, false)?;
        for train in trains(device, &[45, 6, 9])? {
            for count in [false, true] {
                let tape = Tape::new();
                let s = tape.leaf(&train);
                let entropy =
                    if count { loss::count_cross_entropy } else { loss::rate_cross_entropy };
                out.extend(with_gradient(&entropy(&s, &t, CrossEntropy::default())?, &s)?);
            }
        }
        Ok(out)
    });
}

/// The loss of a linear layer `[N, K] x [V, K]`, and the gradients of both, with an upstream of 3.
fn linear_entropy(
    device: &Device,
    [n, v, k]: [usize; 3],
    options: Option<LinearCrossEntropy>,
    spoil: bool,
) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let x = tape.leaf(&data(device, &[n, k], -2.0, 2.0)?);
    let w = tape.leaf(&data(device, &[v, k], -1.0, 1.5)?);
    let t = targets(device, &[n], v, spoil)?;
    let loss = match options {
        Some(options) => loss::linear_cross_entropy_with(&x, &w, &t, options)?,
        None => {
            let ignore_index = spoil.then_some(PADDING);
            let options = CrossEntropy { ignore_index, ..CrossEntropy::default() };
            loss::cross_entropy(&x.matmul_nt(&w)?, &t, options)?
        }
    };
    let g = loss.backward_from(&Tensor::from_slice(device, &[3.0f32], [])?)?;
    let gradients = [&x, &w].map(|leaf| g.get(leaf).unwrap().clone());
    let [gx, gw] = gradients;
    Ok(vec![loss.value().clone(), gx, gw])
}

/// Budgets that hold everything, a few blocks of rows, and only tiles of the classes.
fn budgets(n: usize, v: usize) -> [usize; 3] {
    [n * v, (n * v / 2).max(128 * v), (v * n / 5).min(127 * v).max(1)]
}

#[test]
fn linear_cross_entropies_agree_with_the_oracle() {
    let sizes = [[1, 1, 1], [67, 11, 8], [300, 65, 33], [130, 1_031, 12]];
    for [n, v, k] in sizes {
        for budget in budgets(n, v) {
            let spoil = budget % 2 == 1;
            let reduction = if spoil { Reduction::Sum } else { Reduction::Mean };
            let ignore_index = spoil.then_some(PADDING);
            let options =
                Some(LinearCrossEntropy { reduction, budget: Some(budget), ignore_index });
            let what = format!("linear_cross_entropy {n} x {v} x {k}, {options:?}");
            conform(&what, 1e-5, |device| linear_entropy(device, [n, v, k], options, spoil));
        }
    }
}

#[test]
fn the_fused_loss_is_that_of_its_parts() {
    let [n, v, k] = [150, 77, 9];
    let parts = linear_entropy(oracle(), [n, v, k], None, true).unwrap();
    for budget in budgets(n, v).into_iter().chain([1, 1000]) {
        let ignore_index = Some(PADDING);
        let options =
            LinearCrossEntropy { budget: Some(budget), ignore_index, ..Default::default() };
        let fused = linear_entropy(oracle(), [n, v, k], Some(options), true).unwrap();
        for (fused, parts) in fused.iter().zip(&parts) {
            assert_close(&format!("budget {budget}"), fused, parts, 1e-12);
        }
    }
}

#[test]
fn losses_of_positions_add_up() {
    for subject in subjects() {
        let device = &subject.device;
        let (x, w) = (data(device, &[5, 7, 6], -2.0, 2.0), data(device, &[50, 6], -1.0, 1.0));
        let (x, w) = (x.unwrap(), w.unwrap());
        let t = targets(device, &[5, 7], 50, true).unwrap();
        let options = LinearCrossEntropy { ignore_index: Some(PADDING), ..Default::default() };
        let each = loss::position_losses_with(&x, &w, &t, options).unwrap();
        assert_eq!(*each.shape(), [5, 7]);
        let each = each.to_vec::<f64>().unwrap();
        let tape = Tape::off();
        let (x, w) = (tape.leaf(&x), tape.leaf(&w));
        let mean = loss::linear_cross_entropy_with(&x, &w, &t, options).unwrap();
        let mean = f64::from(mean.value().item().unwrap());
        assert!((each.iter().sum::<f64>() / 33.0 - mean).abs() < 1e-6 * mean, "{}", subject.label);
        assert_eq!(each[34], 0.0, "padding counts nothing");
    }
}

#[test]
fn only_a_part_of_the_logits_stands_in_memory() {
    let (n, v, k) = (700, 3_000, 8);
    for (label, device) in devices_apart() {
        let x = data(&device, &[n, k], -1.0, 1.0).unwrap();
        let w = data(&device, &[v, k], -1.0, 1.0).unwrap();
        let t = targets(&device, &[n], v, false).unwrap();
        for budget in [1 << 19, 1 << 15] {
            device.reset_peak();
            let before = device.memory().held;
            let tape = Tape::new();
            let (x, w) = (tape.leaf(&x), tape.leaf(&w));
            let options = LinearCrossEntropy { budget: Some(budget), ..Default::default() };
            let loss = loss::linear_cross_entropy_with(&x, &w, &t, options).unwrap();
            let _gradients = loss.backward().unwrap();
            let held = (device.memory().peak - before) as usize;
            // The tile, in a size class that is at most half as large again, and what has the size
            // of the operands: both gradients, and blocks of them.
            let most = 6 * budget + 2 * 6 * (n + v) * k + 6 * 4 * n + (1 << 16);
            assert!(held <= most, "{label}, budget {budget}: {held} bytes, allowed {most}");
            assert!(held < 4 * n * v / 2, "{label}: {held} bytes is half of all logits");
        }
    }
}

#[test]
fn mse_agrees_with_the_oracle() {
    for shape in [[1, 1], [3, 7], [70, 1001]] {
        conform(&format!("mse {shape:?}"), 2e-6, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, &shape, -1.0, 1.0)?);
            let y = tape.leaf(&data(device, &shape, 0.0, 3.0)?);
            let loss = loss::mse(&x, &y)?;
            let seed = Tensor::from_slice(device, &[3.0f32], [])?;
            let g = loss.backward_from(&seed)?;
            Ok(vec![loss.value().clone(), g.get(&x).unwrap().clone(), g.get(&y).unwrap().clone()])
        });
    }
}

#[test]
fn accuracy_counts_rows() {
    for shape in [[1, 1], [5, 3], [1025, 10], [5003, 70]] {
        conform(&format!("accuracy {shape:?}"), 0.0, |device| {
            let x = data(device, &shape, 0.0, 1.0)?;
            Ok(vec![loss::accuracy_with(
                &x,
                &targets(device, &shape[..1], shape[1], true)?,
                Some(PADDING),
            )?])
        });
    }
    let x = Tensor::from_slice(oracle(), &[1.0f32, 2.0, 2.0, 3.0, 1.0, 0.0], [2, 3]).unwrap();
    for (classes, expected) in [([1u32, 0], 2.0), ([2, 0], 1.0), ([0, 3], 0.0)] {
        let t = Tensor::from_slice(oracle(), &classes, [2]).unwrap();
        assert_eq!(loss::accuracy_with(&x, &t, Some(3)).unwrap().item().unwrap(), expected);
    }
}

#[test]
fn gradients_match_differences() {
    let values = |seed, count| -> Vec<f64> {
        Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
    };
    let inputs = [
        (values(1, 24), [4, 2, 3].as_slice()),
        (values(2, 24), &[4, 2, 3]),
        (values(3, 15), &[5, 3]),
    ];
    let tiles =
        LinearCrossEntropy { reduction: Reduction::Sum, budget: Some(6), ..Default::default() };
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let t = targets(v[0].device(), &[4, 2], 3, false)?;
        let of_batch = targets(v[0].device(), &[2], 3, false)?;
        let smooth =
            CrossEntropy { smoothing: 0.1, reduction: Reduction::Sum, ..CrossEntropy::default() };
        Ok(vec![
            loss::cross_entropy(&v[0], &t, CrossEntropy::default())?,
            loss::cross_entropy(&v[1], &t, smooth)?,
            loss::rate_cross_entropy(&v[0], &of_batch, CrossEntropy::default())?,
            loss::count_cross_entropy(&v[0], &of_batch, CrossEntropy::default())?,
            loss::mse(&v[0], &v[1])?,
            loss::rate_mse(&v[1], 0.2)?,
            loss::linear_cross_entropy(&v[0], &v[2], &t)?,
            loss::linear_cross_entropy_with(&v[0], &v[2], &t, tiles)?,
        ])
    });
    let outcome = outcome.unwrap();
    assert!(outcome.error < 1e-7, "{outcome:?}");
}

#[test]
fn the_same_loss_has_the_same_bits() {
    for subject in subjects() {
        let device = &subject.device;
        let x = data(device, &[3000, 100], -1.0, 1.0).unwrap();
        let t = targets(device, &[3000], 100, false).unwrap();
        let [s, _] = trains(device, &[40, 5, 1000]).unwrap();
        let bits = || {
            let tape = Tape::off();
            let entropy = loss::cross_entropy(&tape.leaf(&x), &t, CrossEntropy::default()).unwrap();
            let rate = loss::rate_mse(&tape.leaf(&s), 0.2).unwrap();
            let w = tape.leaf(&data(device, &[300, 100], -1.0, 1.0).unwrap());
            let fused = loss::linear_cross_entropy(&tape.leaf(&x), &w, &t).unwrap();
            [entropy, rate, fused].map(|v| v.value().item().unwrap().to_bits())
        };
        assert_eq!(bits(), bits(), "{}", subject.label);
    }
}

/// Devices of this test alone: a profile counts every launch of its device.
fn devices_apart() -> Vec<(String, Device)> {
    let mut devices = vec![("host".to_string(), Device::host())];
    if subjects().len() > 1 {
        for adapter in Device::list() {
            for as_hardware in [false, true] {
                let builder = Device::builder().select(&adapter.name).as_hardware(as_hardware);
                devices.push((format!("{adapter}, {as_hardware}"), builder.open().unwrap()));
            }
        }
    }
    devices
}

#[test]
fn a_loss_takes_two_launches_and_its_gradient_one() {
    for (label, device) in devices_apart() {
        device.check_indices(false);
        let [bits, floats] = trains(&device, &[100, 64, 1000]).unwrap();
        let x = data(&device, &[6400, 80], -1.0, 1.0).unwrap();
        let t = targets(&device, &[6400], 80, false).unwrap();
        let seed = Tensor::from_slice(&device, &[1.0f32], []).unwrap();
        let launches = |loss: &dyn Fn(&Tape) -> Result<Var>| {
            let forward = device.profile(|| loss(&Tape::new()).map(|_| ())).unwrap().1;
            let both = device.profile(|| loss(&Tape::new())?.backward_from(&seed)).unwrap().1;
            (forward.launches(), both.launches())
        };
        assert_eq!(launches(&|tape| loss::rate_mse(&tape.leaf(&bits), 0.2)), (2, 3), "{label}");
        assert_eq!(launches(&|tape| loss::rate_mse(&tape.leaf(&floats), 0.2)), (2, 3), "{label}");
        let entropy =
            |tape: &Tape| loss::cross_entropy(&tape.leaf(&x), &t, CrossEntropy::default());
        assert_eq!(launches(&entropy), (2, 3), "{label}");
    }
}

#[test]
fn mistakes_are_errors() {
    let d = Device::host();
    let tape = Tape::new();
    let x = tape.leaf(&data(&d, &[2, 3], -1.0, 1.0).unwrap());
    let t = targets(&d, &[2], 3, false).unwrap();
    let plain = CrossEntropy::default();
    let zeros = |shape: &[usize], dtype| tape.constant(&Tensor::zeros(&d, shape, dtype).unwrap());
    let float_targets = Tensor::zeros(&d, [2], DType::F32).unwrap();
    let no_targets = Tensor::zeros(&d, [0], DType::U32).unwrap();
    let refused = [
        loss::cross_entropy(&x, &targets(&d, &[3], 3, false).unwrap(), plain),
        loss::cross_entropy(&x, &float_targets, plain),
        loss::cross_entropy(&x, &t, CrossEntropy { smoothing: 1.0, ..plain }),
        loss::cross_entropy(&x, &t, CrossEntropy { smoothing: -0.1, ..plain }),
        loss::cross_entropy(&x, &t, CrossEntropy { temperature: 0.0, ..plain }),
        loss::stable_max(&x, &t, CrossEntropy { temperature: f32::NAN, ..plain }),
        loss::cross_entropy(&zeros(&[0, 3], DType::F32), &no_targets, plain),
        loss::cross_entropy(&zeros(&[2, 0], DType::F32), &t, plain),
        loss::cross_entropy(&zeros(&[], DType::F32), &t, plain),
        loss::cross_entropy(&zeros(&[2, 3], DType::Bits), &t, plain),
        loss::cross_entropy(&tape.leaf(&data(oracle(), &[2, 3], 0.0, 1.0).unwrap()), &t, plain),
        loss::mse(&x, &zeros(&[3, 2], DType::F32)),
        loss::mse(&x, &zeros(&[2, 3], DType::U32)),
        loss::mse(&zeros(&[0], DType::F32), &zeros(&[0], DType::F32)),
        loss::mse(&x, &Tape::new().leaf(x.value())),
        loss::rate_mse(&zeros(&[0, 3], DType::F32), 0.2),
        loss::rate_mse(&zeros(&[3, 0], DType::Bits), 0.2),
        loss::rate_mse(&zeros(&[3, 2], DType::U32), 0.2),
        loss::rate_mse(&x, f32::NAN),
        loss::linear_cross_entropy(&x, &x, &no_targets),
        loss::linear_cross_entropy(&x, &x, &float_targets),
        loss::linear_cross_entropy(&x, &zeros(&[5, 4], DType::F32), &t),
        loss::linear_cross_entropy(&x, &zeros(&[3], DType::F32), &t),
        loss::linear_cross_entropy(&x, &zeros(&[0, 3], DType::F32), &t),
        loss::linear_cross_entropy(&x, &zeros(&[5, 3], DType::Bits), &t),
        loss::linear_cross_entropy(&zeros(&[0, 3], DType::F32), &x, &no_targets),
        loss::linear_cross_entropy(&x, &Tape::new().leaf(x.value()), &t),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    assert!(loss::accuracy(x.value(), &no_targets).is_err());
    assert!(loss::check_targets(&[0, 2], 3).is_ok());
    let found = loss::check_targets(&[0, 3], 3).unwrap_err();
    assert!(
        matches!(found, Error::Argument { .. })
            && found.to_string().contains("target 3 at position 1, allowed are 0 to 2")
    );
}
