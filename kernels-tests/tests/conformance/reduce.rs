//! Conformance of the `reduce` family.

use kernels_tests::{Random, Subject, conform, subjects};
use proptest::prelude::*;
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Result, Shape, Tape, Tensor, reduce};

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

#[test]
fn extrema_agree_with_the_oracle() {
    for (shape, axes) in CASES {
        conform(&format!("extrema of {shape:?} over {axes:?}"), 0.0, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, shape, 1)?);
            let (max, min) = (x.max(axes, false)?, x.min(axes, true)?);
            let tape = Tape::new();
            let x = tape.leaf(x.value());
            let seed = data(device, max.shape(), 2)?;
            let gradient = x.max(axes, false)?.backward_from(&seed)?.get(&x).unwrap().clone();
            let arg = reduce::argmax(x.value(), axes[0], false)?;
            let least = reduce::argmin(x.value(), axes[0], true)?;
            Ok(vec![max.value().clone(), min.value().clone(), gradient, arg, least])
        });
    }
}

#[test]
fn equal_extrema_give_the_first() {
    conform("ties", 0.0, |device| {
        let mut values = vec![0.0f32; 2 * 300];
        for i in [77, 78, 290, 300 + 1, 300 + 257] {
            values[i] = 1.0;
        }
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &values, [2, 300])?);
        let arg = reduce::argmax(x.value(), 1, false)?;
        assert_eq!(arg.to_vec::<u32>()?, [77, 1]);
        let max = x.max(&[1], false)?;
        let seed = Tensor::from_slice(device, &[2.0f32, 3.0], [2])?;
        let g = max.backward_from(&seed)?.get(&x).unwrap().clone();
        let values = g.to_vec::<f32>()?;
        assert_eq!((values[77], values[301], values.iter().sum::<f32>()), (2.0, 3.0, 5.0));
        Ok(vec![g])
    });
}

#[test]
fn variances_and_norms_agree_with_the_oracle() {
    let of_several = |(shape, axes): &&(&[usize], &[usize])| {
        axes.iter().map(|a| shape[*a]).product::<usize>() > 1
    };
    // Gradients of deviations are differences from a rounded mean over the deviation: of two numbers that
    // are near each other they keep fewer digits.
    let kinds: [(&[usize], f64); 2] = [(&[0, 1, 4], 4e-6), (&[2, 3], 4e-5)];
    let cases = CASES.iter().filter(of_several).flat_map(|case| kinds.map(|kind| (case, kind)));
    for ((shape, axes), (kinds, tolerance)) in cases {
        conform(&format!("moments of {shape:?} over {axes:?}"), tolerance, |device| {
            let mut out = Vec::new();
            for &which in kinds {
                let tape = Tape::new();
                let x = tape.leaf(&data(device, shape, 1)?);
                let y = match which {
                    0 => x.variance(axes, false, 0)?,
                    1 => x.variance(axes, true, 1)?,
                    2 => x.standard_deviation(axes, false, 0)?,
                    3 => x.standard_deviation(axes, true, 1)?,
                    _ => x.norm(axes, false)?,
                };
                let seed = data(device, y.shape(), 2)?;
                out.push(y.value().clone());
                out.push(y.backward_from(&seed)?.get(&x).unwrap().clone());
            }
            Ok(out)
        });
    }
}

#[test]
fn a_large_mean_costs_a_variance_nothing() {
    // The data are whole multiples of 2^-9, exact in f32 beside 10^4.
    let mut random = Random::new(4);
    let values: Vec<f32> =
        (0..3 * 5000).map(|_| 1e4 + (random.word() % 1024) as f32 / 512.0).collect();
    conform("variance around 10^4", 1e-5, |device| {
        let x = Tensor::from_slice(device, &values, [3, 5000])?;
        Ok(vec![
            reduce::variance(&x, &[1], false, 1)?,
            reduce::variance(&x.reshape([5000, 3])?, &[0], false, 0)?,
            reduce::standard_deviation(&x, &[1], false, 1)?,
        ])
    });
}

#[test]
fn softmax_agrees_with_the_oracle_along_any_axis() {
    let cases: [(&[usize], usize); 6] = [
        (&[5], 0),
        (&[3, 10], 1),
        (&[10, 3], 0),
        (&[2, 7, 5], 1),
        (&[4, 1000], 1),
        (&[1, 2, 501, 3], 2),
    ];
    for (shape, axis) in cases {
        for log in [false, true] {
            conform(&format!("softmax of {shape:?} along {axis}, log {log}"), 5e-6, |device| {
                let tape = Tape::new();
                let count = shape.iter().product();
                let values = Random::new(3).values(count, -4.0, 6.0);
                let x = tape.leaf(&Tensor::from_slice(device, &values, shape)?);
                let y = if log { x.log_softmax(axis)? } else { x.softmax(axis)? };
                let seed = data(device, shape, 2)?;
                Ok(vec![y.value().clone(), y.backward_from(&seed)?.get(&x).unwrap().clone()])
            });
        }
    }
}

#[test]
fn rates_of_floats_and_of_packed_spikes() {
    for steps in [1, 31, 32, 33, 100] {
        conform(&format!("rate of {steps} steps"), 1e-6, |device| {
            let mut random = Random::new(steps as u64);
            let spikes: Vec<bool> =
                (0..steps * 15).map(|_| random.word().is_multiple_of(4)).collect();
            let floats: Vec<f32> = spikes.iter().map(|s| f32::from(u8::from(*s))).collect();
            let shape = [steps, 3, 5];
            let mut out = Vec::new();
            for x in [
                Tensor::from_bools(device, &spikes, shape)?,
                Tensor::from_slice(device, &floats, shape)?,
            ] {
                let tape = Tape::new();
                let x = tape.leaf(&x);
                let y = x.rate()?;
                let g = y.backward_from(&data(device, &[3, 5], 2)?)?.get(&x).unwrap().clone();
                assert_eq!(g.shape().dims(), shape);
                out.extend([y.value().clone(), g]);
            }
            assert_eq!(out[0].to_vec::<f32>()?, out[2].to_vec::<f32>()?);
            Ok(out)
        });
    }
}

#[test]
fn gradients_match_differences() {
    let values: Vec<f64> =
        Random::new(6).values(24, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect();
    let outcome = gradient_check(&[(values, &[2, 3, 4])], 1e-5, |v| {
        let x = &v[0];
        Ok(vec![
            x.max(&[1], false)?,
            x.min(&[0, 2], true)?,
            x.variance(&[0, 2], false, 1)?,
            x.variance(&[1], true, 0)?,
            x.standard_deviation(&[0, 2], false, 1)?,
            x.norm(&[2], false)?,
            x.norm(&[0, 2], true)?,
            x.softmax(1)?,
            x.log_softmax(2)?,
            x.rate()?,
            x.mean_all()?,
        ])
    });
    let outcome = outcome.unwrap();
    assert!(outcome.error < 1e-7, "{outcome:?}");
}

/// Also where the rows are so far from 0 that 2^100 times them is no number.
#[test]
fn rows_that_do_not_change_have_deviation_and_gradient_zero() {
    // Sums of eight of them are exact.
    let values = [0.0f32, 1.0, -1e10, 1.701_411_8e38, 1e-30];
    let rows: Vec<f32> = values.into_iter().flat_map(|v| [v; 8]).collect();
    let columns = values.repeat(8);
    for Subject { label, device } in subjects() {
        for (x, shape, axis) in [(&rows, [5, 8], 1), (&columns, [8, 5], 0)] {
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from_slice(device, x, shape).unwrap());
            let y = x.standard_deviation(&[axis], false, 0).unwrap();
            let found = y.value().to_vec::<f32>().unwrap();
            assert!(found.iter().all(|y| *y == 0.0), "{label}: {found:?}");
            let g = y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec::<f32>();
            assert!(g.unwrap().iter().all(|g| *g == 0.0), "{label}");
        }
    }
}

#[test]
fn the_norm_of_zeros_has_gradient_zero() {
    conform("norm of zeros", 0.0, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::zeros(device, [2, 5], DType::F32)?);
        let y = x.norm(&[1], false)?;
        let g = y.backward_from(&data(device, &[2], 1)?)?.get(&x).unwrap().clone();
        Ok(vec![y.value().clone(), g])
    });
}

#[test]
fn the_same_sum_has_the_same_bits() {
    for subject in subjects() {
        let device = &subject.device;
        let x = data(device, &[3, 100_003], 8).unwrap();
        let bits = || {
            let sums =
                [reduce::sum(&x, &[1], false).unwrap(), reduce::sum(&x, &[0, 1], false).unwrap()];
            sums.map(|t| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(bits(), bits(), "{}", subject.label);
    }
}

#[test]
fn many_outputs_are_folded_over_workgroups() {
    conform("4.2 million rows of 2", 1e-6, |device| {
        let x = Tensor::from_slice(device, &[1.0f32, 2.0], [1, 2])?;
        let x = spikegrad::layout::expand(&x, [4_200_000, 2])?;
        let y = reduce::sum(&x, &[1], false)?;
        Ok(vec![
            spikegrad::layout::slice(&y, std::slice::from_ref(&(4_199_000..4_200_000)))?,
            reduce::sum(&y, &[0], false)?,
        ])
    });
    conform("66,000 rows of 70", 1e-6, |device| {
        let x = spikegrad::layout::expand(&data(device, &[1, 70], 1)?, [66_000, 70])?;
        let y = reduce::sum(&x, &[1], false)?;
        Ok(vec![spikegrad::layout::slice(&y, std::slice::from_ref(&(65_000..66_000)))?])
    });
}

#[test]
fn mistakes_are_errors_and_empty_sums_are_zero() {
    let d = Device::host();
    let tape = Tape::new();
    let x = tape.leaf(&data(&d, &[2, 3], 1).unwrap());
    let empty = tape.leaf(&Tensor::zeros(&d, [2, 0], DType::F32).unwrap());
    let words = tape.constant(&Tensor::zeros(&d, [2, 3], DType::U32).unwrap());
    let refused = [
        x.sum(&[2], false),
        x.sum(&[0, 0], false),
        x.mean(&[5], true),
        x.max(&[1, 1], false),
        x.variance(&[3], false, 0),
        x.variance(&[0], false, 2),
        x.standard_deviation(&[0], false, 2),
        x.norm(&[2], false),
        x.softmax(2),
        x.log_softmax(7),
        empty.mean(&[1], false),
        empty.max(&[1], false),
        empty.variance(&[1], false, 0),
        words.sum(&[0], false),
        words.softmax(0),
        words.rate(),
        tape.constant(&Tensor::zeros(&d, [0, 3], DType::F32).unwrap()).rate(),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    assert!(reduce::argmax(x.value(), 2, false).is_err());
    assert!(reduce::argmax(empty.value(), 1, false).is_err());
    assert_eq!(empty.sum(&[1], false).unwrap().value().to_vec::<f32>().unwrap(), [0.0, 0.0]);
    assert_eq!(empty.sum(&[0], false).unwrap().shape().dims(), [0]);
    assert_eq!(
        reduce::norm(empty.value(), &[1], false).unwrap().to_vec::<f32>().unwrap(),
        [0.0; 2]
    );
    assert_eq!(x.sum(&[], false).unwrap().shape().dims(), [2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_axes_of_any_shape(
        dims in prop::collection::vec(1usize..20, 1..5),
        chosen in prop::collection::vec(any::<bool>(), 5),
    ) {
        let axes: Vec<usize> = (0..dims.len()).filter(|a| chosen[*a]).collect();
        conform(&format!("{axes:?} of {dims:?}"), 5e-6, |device| {
            let mut out = Vec::new();
            for which in 0..5 {
                let tape = Tape::new();
                let x = tape.leaf(&data(device, &dims, 1)?);
                let y = match which {
                    0 => x.mean(&axes, chosen[4])?,
                    1 => x.max(&axes, chosen[4])?,
                    2 => x.variance(&axes, chosen[4], 0)?,
                    3 => x.norm(&axes, chosen[4])?,
                    _ => x.softmax(dims.len() - 1)?,
                };
                let seed = data(device, y.shape(), 2)?;
                out.push(y.value().clone());
                out.push(y.backward_from(&seed)?.get(&x).unwrap().clone());
            }
            Ok(out)
        });
    }
}
