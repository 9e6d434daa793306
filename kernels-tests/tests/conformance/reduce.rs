//! Conformance of the `reduce` family.

use kernels_tests::{Random, conform};
use spikegrad::tape::gradient_check;
use spikegrad::{Device, Result, Shape, Tape, Tensor, reduce};

/// f32 data of a shape.
fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.5), shape)
}

/// Shapes and axes: rows, columns, both sides, several runs, ones, long.
const CASES: &[(&[usize], &[usize])] = &[
    (&[1], &[0]),
    (&[7], &[0]),
    (&[3, 5], &[1]),
    (&[3, 5], &[0]),
    (&[3, 1, 5], &[1]),
    (&[4, 3, 70], &[2]),
    (&[4, 129, 6], &[1]),
    (&[2, 3, 4, 5], &[0, 2]),
    (&[2, 3, 4, 5], &[1, 3]),
    (&[2, 3, 4, 5], &[3, 0, 1, 2]),
    (&[5000, 3], &[0]),
    (&[2, 9973], &[1]),
    (&[6000, 2], &[1]),
];

#[test]
fn sums_and_means_agree_with_the_oracle() {
    for (shape, axes) in CASES {
        conform(&format!("sum of {shape:?} over {axes:?}"), 2e-6, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, shape, 1)?);
            let (sum, mean) = (x.sum(axes, false)?, x.mean(axes, true)?);
            let seed = data(device, mean.shape(), 2)?;
            let gradient = mean.backward_from(&seed)?.get(&x).unwrap().clone();
            Ok(vec![sum.value().clone(), mean.value().clone(), gradient])
        });
    }
}

#[test]
fn sum_to_undoes_broadcasting() {
    let cases: [(&[usize], &[usize]); 5] = [
        (&[2, 3, 4], &[3, 1]),
        (&[2, 3, 4], &[4]),
        (&[2, 3], &[]),
        (&[2, 1], &[2, 1]),
        (&[1, 5], &[1]),
    ];
    for (from, to) in cases {
        conform(&format!("{from:?} to {to:?}"), 1e-6, |device| {
            let y = reduce::sum_to(&data(device, from, 3)?, &Shape::new(to)?)?;
            assert_eq!(y.shape().dims(), to);
            Ok(vec![y])
        });
    }
    let x = data(&Device::host(), &[2, 3], 1).unwrap();
    for to in [[4].as_slice(), &[3, 2], &[1, 2, 3]] {
        assert!(reduce::sum_to(&x, &Shape::new(to).unwrap()).is_err(), "{to:?}");
    }
}

#[test]
fn gradients_of_sums_match_differences() {
    for (shape, axes) in [([2, 3, 4].as_slice(), [0, 2].as_slice()), (&[3, 4], &[1])] {
        let count = shape.iter().product();
        let values: Vec<f64> =
            Random::new(5).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect();
        let outcome = gradient_check(&[(values, shape)], 1e-5, |v| {
            Ok(vec![v[0].sum(axes, false)?, v[0].mean(axes, true)?, v[0].sum_all()?])
        });
        let outcome = outcome.unwrap();
        assert!(outcome.error < 1e-7, "{outcome:?}");
    }
}

#[test]
fn a_million_terms_are_summed_to_one_part_in_a_million() {
    let values = Random::new(9).values(1_000_000, 0.0, 1.0);
    let constant = vec![0.1f32; 1_000_000];
    for values in [values, constant] {
        conform("sum of 10^6", 1e-6, |device| {
            let x = Tensor::from_slice(device, &values, [1_000_000])?;
            Ok(vec![
                reduce::sum(&x, &[0], false)?,
                reduce::sum(&x.reshape([500_000, 2])?, &[0], false)?,
            ])
        });
    }
}
