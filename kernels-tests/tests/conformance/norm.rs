//! Conformance of the `norm` family.

use kernels_tests::{Random, conform, oracle, subjects};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Result, Tape, Tensor, Var};

fn data(device: &Device, shape: &[usize], seed: u64, low: f32, high: f32) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, low, high), shape)
}

/// Which normalisation.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Layer,
    LayerWithoutBias,
    Added,
    Rms,
}

const KINDS: [Kind; 4] = [Kind::Layer, Kind::LayerWithoutBias, Kind::Added, Kind::Rms];
/// Large enough that the gradient of a row of one element is more than rounding.
const EPS: f32 = 0.05;

/// Inputs x, residual, gain, bias.
fn normalise(kind: Kind, v: &[Var]) -> Result<Var> {
    match kind {
        Kind::Layer => v[0].layer_norm(&v[2], Some(&v[3]), EPS),
        Kind::LayerWithoutBias => v[0].layer_norm(&v[2], None, EPS),
        Kind::Added => v[0].add_layer_norm(&v[1], &v[2], Some(&v[3]), EPS),
        Kind::Rms => v[0].rms_norm(&v[2], EPS),
    }
}

/// Output and gradients of all inputs that have one.
fn with_gradients(
    device: &Device,
    kind: Kind,
    shape: &[usize],
    offset: f32,
) -> Result<Vec<Tensor>> {
    let length = &shape[shape.len() - 1..];
    let tape = Tape::new();
    // On a grid that stays exact around the offset.
    let count: usize = shape.iter().product();
    let mut random = Random::new(7);
    let x: Vec<f32> =
        (0..count).map(|_| offset + (random.word() % 4096) as f32 / 1024.0 - 2.0).collect();
    let inputs = [
        Tensor::from_slice(device, &x, shape)?,
        data(device, shape, 2, -1.0, 1.0)?,
        data(device, length, 3, 0.5, 1.5)?,
        data(device, length, 4, -1.0, 1.0)?,
    ];
    let leaves = inputs.map(|t| tape.leaf(&t));
    let y = normalise(kind, &leaves)?;
    let g = y.backward_from(&data(device, shape, 5, -1.0, 1.0)?)?;
    let gradients = leaves.iter().filter_map(|leaf| g.get(leaf).cloned());
    Ok([y.value().clone()].into_iter().chain(gradients).collect())
}

#[test]
fn normalisations_agree_with_the_oracle() {
    let shapes: [&[usize]; 8] =
        [&[1], &[1, 1], &[3, 7], &[5, 2, 64], &[33, 65], &[7, 769], &[2, 3, 1031], &[4099, 3]];
    for shape in shapes {
        for kind in KINDS {
            conform(&format!("{kind:?} {shape:?}"), 1e-5, |device| {
                with_gradients(device, kind, shape, 0.0)
            });
        }
    }
}

#[test]
fn more_rows_than_workgroups_along_one_axis() {
    for kind in [Kind::Layer, Kind::Rms] {
        conform(&format!("{kind:?} of 65,537 rows"), 1e-5, |device| {
            with_gradients(device, kind, &[65_537, 66], 0.0)
        });
    }
}

#[test]
fn a_large_mean_costs_no_accuracy() {
    for kind in [Kind::Layer, Kind::LayerWithoutBias] {
        conform(&format!("{kind:?} around 10^4"), 2e-6, |device| {
            with_gradients(device, kind, &[40, 200], 1e4)
        });
    }
}

#[test]
fn normalised_rows_have_their_known_moments() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::off();
        let x = tape.leaf(&data(device, &[9, 300], 1, -3.0, 5.0).unwrap());
        let ones = tape.leaf(&spikegrad::elementwise::full(device, [300], 1.0).unwrap());
        let rows = |y: Var| -> Vec<(f64, f64)> {
            let values = y.value().to_vec::<f64>().unwrap();
            let moments = |row: &[f64]| {
                let mean = row.iter().sum::<f64>() / 300.0;
                (mean, row.iter().map(|v| v * v).sum::<f64>() / 300.0)
            };
            values.chunks(300).map(moments).collect()
        };
        for (mean, square) in rows(x.layer_norm(&ones, None, 1e-12).unwrap()) {
            assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5, "{}", subject.label);
        }
        for (_, square) in rows(x.rms_norm(&ones, 1e-12).unwrap()) {
            assert!((square - 1.0).abs() < 1e-5, "{}", subject.label);
        }
        // A row of equal elements has no variance: it becomes the bias.
        let flat = tape.leaf(&spikegrad::elementwise::full(device, [2, 300], 5.0).unwrap());
        let y = flat.layer_norm(&ones, Some(&ones), EPS).unwrap().value().to_vec::<f32>().unwrap();
        assert!(y.iter().all(|v| *v == 1.0), "{}", subject.label);
    }
}

#[test]
fn gradients_match_differences() {
    let values = |seed, count| -> Vec<f64> {
        Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
    };
    let shape = [3, 2, 5].as_slice();
    let inputs = [
        (values(1, 30), shape),
        (values(2, 30), shape),
        (values(3, 5), &[5]),
        (values(4, 5), &[5]),
    ];
    for kind in KINDS {
        let outcome = gradient_check(&inputs, 1e-5, |v| Ok(vec![normalise(kind, v)?])).unwrap();
        assert!(outcome.error < 1e-7, "{kind:?}: {outcome:?}");
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    for subject in subjects() {
        let run = || -> Vec<Vec<u32>> {
            let out = with_gradients(&subject.device, Kind::Added, &[300, 130], 0.0).unwrap();
            let bits =
                |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
            out.iter().map(bits).collect()
        };
        assert_eq!(run(), run(), "{}", subject.label);
    }
}

#[test]
fn no_rows_and_no_elements_are_nothing() {
    for subject in subjects() {
        for (shape, kind) in [([0, 3], Kind::Layer), ([3, 0], Kind::Layer), ([0, 3], Kind::Added)] {
            let out = with_gradients(&subject.device, kind, &shape, 0.0).unwrap();
            assert_eq!(out[0].count(), 0);
            for gradient in &out[1..] {
                let values = gradient.to_vec::<f32>().unwrap();
                assert!(values.iter().all(|v| *v == 0.0), "{}", subject.label);
            }
        }
    }
}

#[test]
fn mistakes_are_errors() {
    let tape = Tape::new();
    let zeros = |shape: &[usize], dtype| tape.leaf(&Tensor::zeros(oracle(), shape, dtype).unwrap());
    let x = zeros(&[2, 3], DType::F32);
    let gain = zeros(&[3], DType::F32);
    let elsewhere = Tensor::zeros(&Device::host(), [3], DType::F32).unwrap();
    let refused = [
        x.layer_norm(&zeros(&[2], DType::F32), None, EPS),
        x.layer_norm(&gain, Some(&zeros(&[3, 1], DType::F32)), EPS),
        x.layer_norm(&zeros(&[3], DType::U32), None, EPS),
        zeros(&[2, 3], DType::Bits).layer_norm(&gain, None, EPS),
        zeros(&[], DType::F32).layer_norm(&gain, None, EPS),
        x.layer_norm(&gain, None, 0.0),
        x.layer_norm(&gain, None, f32::NAN),
        x.rms_norm(&gain, f32::INFINITY),
        x.add_layer_norm(&zeros(&[3], DType::F32), &gain, None, EPS),
        x.layer_norm(&tape.leaf(&elsewhere), None, EPS),
        x.layer_norm(&Tape::new().leaf(gain.value()), None, EPS),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
}

#[test]
fn weights_of_given_lengths() {
    for (rows, columns) in [(2, 1), (7, 5), (513, 130)] {
        conform(&format!("weight norm {rows} x {columns}"), 1e-5, |device| {
            let tape = Tape::new();
            let leaf = |shape: &[usize], seed| {
                Ok::<_, spikegrad::Error>(tape.leaf(&data(device, shape, seed, -1.0, 1.0)?))
            };
            let (v, length) = (leaf(&[rows, columns], 1)?, leaf(&[columns], 2)?);
            let w = v.weight_norm(&length)?;
            let g = w.backward_from(leaf(&[rows, columns], 3)?.value())?;
            let of = |v| g.get(v).unwrap().clone();
            Ok(vec![w.value().clone(), of(&v), of(&length)])
        });
    }
    let values = |count, seed| -> Vec<f64> {
        Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
    };
    let inputs = [(values(12, 1), [4, 3].as_slice()), (values(3, 2), &[3])];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let w = v[0].weight_norm(&v[1])?;
        let parts = v[0].mul(&v[1].div(&v[0].norm(&[0], false)?)?)?;
        kernels_tests::assert_close("weight norm", w.value(), parts.value(), 1e-12);
        Ok(vec![w])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-7, "{outcome:?}");
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(oracle(), shape, DType::F32).unwrap());
    let w = zeros(&[3, 2]).weight_norm(&zeros(&[2])).unwrap();
    assert_eq!(w.value().to_vec::<f64>().unwrap(), [0.0; 6]);
    assert!(zeros(&[3, 2]).weight_norm(&zeros(&[3])).is_err());
    assert!(zeros(&[3]).weight_norm(&zeros(&[3])).is_err());
}
