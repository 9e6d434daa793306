//! Long rows with numbers from the ends of f32 and beyond: softmax and every loss, on every device against
//! the oracle, at the lengths where walks break off.

use super::subjects;
use super::{PLANTED, alike, input, none, run};
use crate::long::LENGTHS;
use kernels_tests::{Random, Subject, oracle};
use spikegrad::loss::{self, CrossEntropy};
use spikegrad::{Device, Result, Tape, Tensor, Var};

/// What differs from the oracle when each planted number in turn stands in the last of `rows` rows of
/// `length`, near its end, where `f` makes of the rows what it makes of `[rows, length]`.
fn faults(
    what: &str,
    [rows, length]: [usize; 2],
    f: impl Fn(&[Var], usize) -> Result<Var>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let plain = Random::new(13).values(rows * length, -1.0, 1.0);
    let shape: &'static [usize; 2] = Box::leak(Box::new([rows, length]));
    let inputs = [input(shape, 0.0, 0.0)];
    for planted in PLANTED {
        let mut x = plain.clone();
        x[rows * length - 3] = planted;
        let outcome = |device: &Device, subnormals| {
            let values = [x.clone(), vec![1.0]];
            run(device, &inputs, &values, subnormals, &|v| f(v, length))
                .unwrap_or_else(|e| panic!("{what} of {length}: {e}"))
        };
        let expected = [outcome(oracle(), true), outcome(oracle(), false)];
        for Subject { label, device } in subjects() {
            for (o, found) in outcome(device, true).iter().enumerate() {
                let wrong = |i: &usize| !expected.iter().any(|e| alike(found[*i], e[o][*i], 1e-4));
                if let Some(i) = (0..found.len()).find(|i| wrong(i)) {
                    faults.push(format!(
                        "{what} of {length} on {label}, {planted:e}: output {o} [{i}] is {:e}, not {:e}",
                        found[i], expected[0][o][i]
                    ));
                }
            }
        }
    }
    faults
}

/// Targets of two rows: one that is the planted class, and one that is not.
fn targets(v: &[Var], length: usize) -> Result<[Tensor; 2]> {
    let of = |first: usize, second: usize| {
        Tensor::from_slice(v[0].device(), &[first as u32, second as u32], [2])
    };
    Ok([of(7, length - 3)?, of(length - 3, 0)?])
}

/// What comes into a linear layer.
fn hidden(v: &[Var]) -> Result<Var> {
    Ok(v[0].tape().leaf(&Tensor::from_slice(v[0].device(), &[0.75f32, -0.5], [2, 1])?))
}

#[test]
fn softmax() {
    let mut all = Vec::new();
    for length in LENGTHS {
        all.extend(faults("softmax", [2, length], |v, _| v[0].softmax(1)));
        all.extend(faults("log_softmax", [2, length], |v, _| v[0].log_softmax(1)));
    }
    none(&all);
}

#[test]
fn losses_of_classes() {
    let mut all = Vec::new();
    let smooth = CrossEntropy { smoothing: 0.1, ..CrossEntropy::default() };
    for length in LENGTHS {
        for which in 0..2 {
            let shape = [2, length];
            all.extend(faults("cross_entropy", shape, |v, n| {
                loss::cross_entropy(&v[0], &targets(v, n)?[which], CrossEntropy::default())
            }));
            all.extend(faults("smoothed cross_entropy", shape, |v, n| {
                loss::cross_entropy(&v[0], &targets(v, n)?[which], smooth)
            }));
            all.extend(faults("stable_max", shape, |v, n| {
                loss::stable_max(&v[0], &targets(v, n)?[which], CrossEntropy::default())
            }));
        }
    }
    none(&all);
}

#[test]
fn losses_of_linear_layers() {
    let mut all = Vec::new();
    for length in LENGTHS {
        for which in 0..2 {
            // The planted number is a weight.
            all.extend(faults("linear_cross_entropy", [1, length], |v, n| {
                let w = v[0].reshape([n, 1])?;
                loss::linear_cross_entropy(&hidden(v)?, &w, &targets(v, n)?[which])
            }));
            all.extend(faults("position_losses", [1, length], |v, n| {
                let w = v[0].value().reshape([n, 1])?;
                let y = loss::position_losses(hidden(v)?.value(), &w, &targets(v, n)?[which])?;
                Ok(Tape::off().constant(&y))
            }));
        }
    }
    none(&all);
}

#[test]
pub(super) fn squared_errors() {
    let mut all = Vec::new();
    for length in LENGTHS {
        all.extend(faults("mse", [1, length], |v, _| {
            loss::mse(&v[0], &v[0].tape().constant(&v[0].value().mul_scalar(0.5)?))
        }));
        all.extend(faults("rate_mse", [1, length], |v, _| loss::rate_mse(&v[0], 0.1)));
        all.extend(faults("rate_mse of long trains", [1, length], |v, n| {
            loss::rate_mse(&v[0].reshape([n, 1])?, 0.1)
        }));
    }
    none(&all);
}

#[test]
fn accuracies() {
    let mut all = Vec::new();
    for length in LENGTHS {
        all.extend(faults("accuracy", [2, length], |v, n| {
            let y = loss::accuracy(v[0].value(), &targets(v, n)?[1])?;
            Ok(Tape::off().constant(&y))
        }));
    }
    none(&all);
}
