//! Layers: normalisations of batches and of windows, weight-normed layers.

use kernels_tests::{Random, assert_close, conform, forward, oracle};
use spikegrad::nn::{BatchNorm, InstanceNorm, Module, WeightNormLinear};
use spikegrad::random::Generator;
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Result, Tape, Tensor};

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

#[test]
fn batch_norm_agrees_and_keeps_statistics() {
    conform("batch norm", 1e-4, |device| {
        let norm = BatchNorm::new(5, device)?;
        let tape = Tape::new();
        let x = tape.leaf(&data(device, &[4, 3, 7, 5], 1)?);
        let y = forward(&norm, &x, true)?;
        let still = forward(&norm, &x, false)?;
        let seeds = [(&y, data(device, x.shape(), 2)?), (&still, data(device, x.shape(), 3)?)];
        let gradients = kernels_tests::seeded(&seeds)?.backward()?;
        let mut out = vec![y.value().clone(), still.value().clone()];
        out.push(gradients.get(&x).unwrap().clone());
        out.extend(norm.params().iter().map(|p| gradients.of(p).unwrap().clone()));
        out.extend(norm.buffers().iter().map(|p| p.value().clone()));
        Ok(out)
    });
}

#[test]
fn batch_norm_normalises() {
    let norm = BatchNorm::new(2, oracle()).unwrap();
    let tape = Tape::off();
    // Channel 0: 1, 2, 3, 4; channel 1: 5 always.
    let x = [1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 4.0, 5.0];
    let x = tape.constant(&Tensor::from_slice(oracle(), &x, [4, 1, 2]).unwrap());
    let y = forward(&norm, &x, true).unwrap().value().to_vec::<f64>().unwrap();
    let size = (1.25f64 + 1e-5).sqrt();
    for (t, row) in y.chunks_exact(2).enumerate() {
        assert!((row[0] - (t as f64 - 1.5) / size).abs() < 1e-6 && row[1].abs() < 1e-6, "{row:?}");
    }
    let statistics = norm.buffers().into_iter().map(|p| p.value().to_vec::<f64>().unwrap());
    let expected = [vec![0.25, 0.5], vec![(0.9f64 + 0.1 * 5.0 / 3.0).sqrt(), 0.9f64.sqrt()]];
    for (found, expected) in statistics.zip(expected) {
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}

#[test]
fn gradients_of_batch_norm() {
    let values = Random::new(1).values(24, -1.0, 1.0).into_iter().map(f64::from).collect();
    let inputs = [(values, [2, 4, 3].as_slice())];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let norm = BatchNorm::new(3, v[0].device())?;
        Ok(vec![forward(&norm, &v[0], true)?])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-6, "{outcome:?}");
}

#[test]
fn windows_are_normalised_and_put_back() {
    conform("instance norm", 1e-4, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&data(device, &[6, 2, 5], 1)?);
        let norm = InstanceNorm::of(x.value())?;
        let y = norm.apply(&x)?;
        let back = norm.undo(&y)?;
        assert_close("put back", back.value(), x.value(), 1e-5);
        let gradients = y.backward_from(&data(device, x.shape(), 2)?)?;
        Ok(vec![y.value().clone(), gradients.get(&x).unwrap().clone()])
    });
    let device = Device::host();
    let constant = Tensor::from_slice(&device, &[61.3f32; 12], [12, 1, 1]).unwrap();
    let norm = InstanceNorm::of(&constant).unwrap();
    let tape = Tape::off();
    let y = norm.apply(&tape.constant(&constant)).unwrap();
    assert!(y.value().to_vec::<f32>().unwrap().iter().all(|v| v.abs() < 0.01));
    let back = norm.undo(&y).unwrap().value().to_vec::<f32>().unwrap();
    assert!(back.iter().all(|v| (v - 61.3).abs() < 1e-3), "{back:?}");
    let nothing = Tensor::zeros(&device, [0, 1, 1], DType::F32).unwrap();
    assert!(InstanceNorm::of(&nothing).is_err());
}

#[test]
fn weight_normed_layers_start_as_plain_ones() {
    let device = Device::host();
    let layer = WeightNormLinear::new(6, 4, &mut Generator::new(&device, 1).unwrap());
    let layer = layer.unwrap();
    let tape = Tape::new();
    let [direction, length, bias] = layer.params().try_into().expect("three");
    let x = tape.leaf(&data(&device, &[3, 6], 1).unwrap());
    let y = forward(&layer, &x, false).unwrap();
    let plain = x.matmul(&tape.param(&direction)).unwrap().add(&tape.param(&bias)).unwrap();
    assert_close("at the start", y.value(), plain.value(), 1e-5);
    // Twice the length doubles what comes before the bias; the size of the direction has no part.
    let twice = |param: &spikegrad::Param| {
        let values = param.value().to_vec::<f32>().unwrap();
        param.value().write(&values.iter().map(|v| 2.0 * v).collect::<Vec<f32>>()).unwrap();
    };
    let bias = tape.constant(bias.value());
    twice(&direction);
    assert_close(
        "a longer direction",
        forward(&layer, &x, false).unwrap().value(),
        y.value(),
        1e-5,
    );
    twice(&length);
    let doubled = forward(&layer, &x, false).unwrap().sub(&bias).unwrap();
    let expected = y.sub(&bias).unwrap().mul_scalar(2.0).unwrap();
    assert_close("twice the length", doubled.value(), expected.value(), 1e-5);
    let none = WeightNormLinear::new(0, 4, &mut Generator::new(&device, 1).unwrap());
    assert!(none.is_err());
}

#[test]
fn bad_batches_are_refused() {
    let device = Device::host();
    let norm = BatchNorm::new(3, &device).unwrap();
    let tape = Tape::new();
    let v = |shape: &[usize]| tape.leaf(&data(&device, shape, 1).unwrap());
    assert!(forward(&norm, &v(&[4, 2]), true).is_err());
    assert!(forward(&norm, &v(&[4, 2]), false).is_err());
    assert!(forward(&norm, &v(&[1, 3]), true).is_err());
    assert!(forward(&norm, &tape.leaf(&data(oracle(), &[4, 3], 1).unwrap()), false).is_err());
    assert!(BatchNorm::new(0, &device).is_err());
}
