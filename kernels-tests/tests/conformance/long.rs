//! Long rows, columns, batches, taps and sequences. A software adapter leaves the loops of an
//! invocation after 65,535 turns, all of them together, and says nothing: what is longer must be cut
//! or refused.

use kernels_tests::{Random, assert_agree, oracle, subjects};
use spikegrad::loss::{
    CrossEntropy, accuracy, cross_entropy, linear_cross_entropy, mse, position_losses, rate_mse,
    stable_max,
};
use spikegrad::reduce::{argmax, argmin};
use spikegrad::spectral::{Polar, SpectralClip, spectral_norm};
use spikegrad::{Device, Error, Result, Tape, Tensor, Var};

/// From where rows of several walks break off up to beyond one walk.
const LENGTHS: [usize; 5] = [16_384, 22_001, 33_001, 50_257, 70_001];

/// What is computed for a length.
type Program = fn(&Device, usize) -> Result<Vec<Tensor>>;

/// Every length of every program on every device against the oracle; `may` names those that a
/// software adapter may refuse.
fn sweep(programs: &[(&str, Program)], may: &[&str]) {
    for (name, program) in programs {
        for length in LENGTHS {
            let expected = program(oracle(), length).unwrap_or_else(|e| panic!("{name}: {e}"));
            for subject in subjects() {
                let what = format!("{name} of {length} on {}", subject.label);
                let is_cut = subject.device.capabilities().max_turns.is_some();
                match program(&subject.device, length) {
                    Ok(found) => assert_agree(&what, &found, &expected, 1e-4),
                    Err(Error::Limit { .. }) if is_cut && may.contains(name) => {}
                    Err(e) => panic!("{what}: {e}"),
                }
            }
        }
    }
}

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

fn words(device: &Device, shape: &[usize], below: usize) -> Result<Tensor> {
    let mut random = Random::new(5);
    let values: Vec<u32> =
        (0..shape.iter().product()).map(|_| random.word() % below as u32).collect();
    Tensor::from_slice(device, &values, shape)
}

fn spikes(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let mut random = Random::new(6);
    let spikes: Vec<bool> =
        (0..shape.iter().product()).map(|_| random.word().is_multiple_of(3)).collect();
    Tensor::from_bools(device, &spikes, shape)
}

/// The output of a program of variables of these shapes, and all gradients.
fn run(
    device: &Device,
    shapes: &[&[usize]],
    program: impl FnOnce(&[Var]) -> Result<Var>,
) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let leaf = |(i, shape): (usize, &&[usize])| Ok(tape.leaf(&data(device, shape, i as u64 + 1)?));
    let leaves: Vec<Var> = shapes.iter().enumerate().map(leaf).collect::<Result<_>>()?;
    let y = program(&leaves)?;
    let gradients = y.backward_from(&data(device, y.shape(), 99)?)?;
    let all = leaves.iter().filter_map(|leaf| gradients.get(leaf).cloned());
    Ok([y.value().clone()].into_iter().chain(all).collect())
}

/// The output of a program of packed spikes.
fn of_spikes(
    device: &Device,
    shape: &[usize],
    program: impl FnOnce(Var) -> Result<Var>,
) -> Result<Vec<Tensor>> {
    let x = Tape::off().constant(&spikes(device, shape)?);
    Ok(vec![program(x)?.value().clone()])
}

#[test]
fn rows() {
    sweep(
        &[
            ("softmax", |d, n| run(d, &[&[2, n]], |v| v[0].softmax(1))),
            ("softmax of columns", |d, n| run(d, &[&[n, 2]], |v| v[0].softmax(0))),
            ("log_softmax", |d, n| run(d, &[&[1, n]], |v| v[0].log_softmax(1))),
            ("max", |d, n| run(d, &[&[2, n]], |v| v[0].max(&[1], false))),
            ("min", |d, n| run(d, &[&[n, 2]], |v| v[0].min(&[0], false))),
            ("argmax", |d, n| Ok(vec![argmax(&data(d, &[2, n], 1)?, 1, false)?])),
            ("argmin", |d, n| Ok(vec![argmin(&data(d, &[n, 2], 1)?, 0, false)?])),
            ("sum", |d, n| run(d, &[&[2, n]], |v| v[0].sum(&[1], false))),
            ("mean", |d, n| run(d, &[&[n, 2]], |v| v[0].mean(&[0], false))),
            ("variance", |d, n| run(d, &[&[2, n]], |v| v[0].variance(&[1], false, 1))),
            ("norm", |d, n| run(d, &[&[2, n]], |v| v[0].norm(&[1], false))),
            ("top_k_mask", |d, n| run(d, &[&[2, n]], |v| v[0].top_k_mask(10))),
            ("weight_norm", |d, n| run(d, &[&[n, 2], &[2]], |v| v[0].weight_norm(&v[1]))),
        ],
        &[],
    );
}

#[test]
fn norms() {
    sweep(
        &[
            ("layer_norm", |d, n| {
                run(d, &[&[2, n], &[n], &[n]], |v| v[0].layer_norm(&v[1], Some(&v[2]), 0.1))
            }),
            ("add_layer_norm", |d, n| {
                run(d, &[&[1, n], &[1, n], &[n], &[n]], |v| {
                    v[0].add_layer_norm(&v[1], &v[2], Some(&v[3]), 0.1)
                })
            }),
            ("rms_norm", |d, n| run(d, &[&[2, n], &[n]], |v| v[0].rms_norm(&v[1], 0.1))),
            ("layer_norm of many rows", |d, n| {
                run(d, &[&[n, 3], &[3], &[3]], |v| v[0].layer_norm(&v[1], Some(&v[2]), 0.1))
            }),
            ("spectral_norm", |d, n| Ok(vec![spectral_norm(&data(d, &[2, n], 1)?, 3)?])),
            ("SpectralClip", |d, n| Ok(vec![SpectralClip::new(1.0).run(&data(d, &[2, n], 1)?)?])),
            ("Polar", |d, n| Ok(vec![Polar::muon(5).run(&data(d, &[n, 2], 1)?)?])),
        ],
        &[],
    );
}

#[test]
fn classes() {
    sweep(
        &[
            ("cross_entropy", |d, n| {
                let t = words(d, &[2], n)?;
                run(d, &[&[2, n]], |v| cross_entropy(&v[0], &t, CrossEntropy::default()))
            }),
            ("smoothed cross_entropy", |d, n| {
                let t = words(d, &[1], n)?;
                let options = CrossEntropy { smoothing: 0.1, ..CrossEntropy::default() };
                run(d, &[&[1, n]], |v| cross_entropy(&v[0], &t, options))
            }),
            ("stable_max", |d, n| {
                let t = words(d, &[2], n)?;
                run(d, &[&[2, n]], |v| stable_max(&v[0], &t, CrossEntropy::default()))
            }),
            ("cross_entropy of many rows", |d, n| {
                let t = words(d, &[n], 3)?;
                run(d, &[&[n, 3]], |v| cross_entropy(&v[0], &t, CrossEntropy::default()))
            }),
            ("linear_cross_entropy", |d, n| {
                let t = words(d, &[2], n)?;
                run(d, &[&[2, 3], &[n, 3]], |v| linear_cross_entropy(&v[0], &v[1], &t))
            }),
            ("position_losses", |d, n| {
                let (x, w) = (data(d, &[2, 3], 1)?, data(d, &[n, 3], 2)?);
                Ok(vec![position_losses(&x, &w, &words(d, &[2], n)?)?])
            }),
            ("accuracy", |d, n| {
                let x = data(d, &[2, n], 1)?;
                let targets = argmax(&x, 1, false)?;
                Ok(vec![accuracy(&x, &targets)?])
            }),
            ("accuracy of many rows", |d, n| {
                Ok(vec![accuracy(&data(d, &[n, 3], 1)?, &words(d, &[n], 3)?)?])
            }),
            ("mse", |d, n| run(d, &[&[n], &[n]], |v| mse(&v[0], &v[1]))),
            ("rate_mse", |d, n| run(d, &[&[n, 3]], |v| rate_mse(&v[0], 0.1))),
            ("rate_mse of many columns", |d, n| run(d, &[&[3, n]], |v| rate_mse(&v[0], 0.1))),
            ("rate_mse of packed spikes", |d, n| of_spikes(d, &[n, 3], |s| rate_mse(&s, 0.1))),
            ("rate of packed spikes", |d, n| of_spikes(d, &[n, 3], |s| s.rate())),
        ],
        &[],
    );
}
