//! Long rows, columns, batches, taps and sequences. A software adapter leaves the loops of an
//! invocation after 65,535 iterations, all of them together, and says nothing: what is longer must be cut
//! or refused.

use kernels_tests::{Random, assert_agree, oracle, subjects};
use spikegrad::attention::{Form, SpikeAttention, SpikeProduct};
use spikegrad::elementwise::{Activation, pack, unpack};
use spikegrad::encode::{Latency, delta, latency};
use spikegrad::fourier::{
    ComplexGate, Scaling, complex_linear, graph_dense, graph_diag, graph_diag_outer, node_lines,
    token_lines,
};
use spikegrad::layout::concat;
use spikegrad::lif::{Lif, Save};
use spikegrad::linalg::{Layout, linear, matmul};
use spikegrad::loss::{
    CrossEntropy, accuracy, cross_entropy, linear_cross_entropy, mse, position_losses, rate_mse,
    stable_max,
};
use spikegrad::neuron::{Synaptic, SynapticParameters};
use spikegrad::optim::{AdamW, Dion, Muon, NorMuon, Optimizer};
use spikegrad::reduce::{argmax, argmin};
use spikegrad::scan::{Decay, Plan, Recurrence, wkv};
use spikegrad::spectral::{Polar, SpectralClip, spectral_norm};
use spikegrad::{Device, Error, Param, Result, Tape, Tensor, Var};

/// From where rows of several walks break off up to beyond one walk.
pub(crate) const LENGTHS: [usize; 5] = [16_384, 22_001, 33_001, 50_257, 70_001];

/// What is computed for a length.
type Program = fn(&Device, usize) -> Result<Vec<Tensor>>;

/// Every length of every program on every device against the oracle; `may` names those that a
/// software adapter may refuse.
fn sweep(programs: &[(&str, Program)], may: &[&str]) {
    let mut wrong = Vec::new();
    for (name, program) in programs {
        for length in LENGTHS {
            let expected = program(oracle(), length).unwrap_or_else(|e| panic!("{name}: {e}"));
            for subject in subjects() {
                let what = format!("{name} of {length} on {}", subject.label);
                let is_cut = subject.device.capabilities().max_iterations.is_some();
                match program(&subject.device, length) {
                    Ok(found) => {
                        let check = || assert_agree(&what, &found, &expected, 1e-4);
                        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err() {
                            wrong.push(what);
                        }
                    }
                    Err(Error::Limit { .. }) if is_cut && may.contains(name) => {}
                    Err(e) => wrong.push(format!("{what}: {e}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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

#[test]
fn products() {
    sweep(
        &[
            ("matmul over rows", |d, n| run(d, &[&[2, n], &[n, 3]], |v| v[0].matmul(&v[1]))),
            ("matmul of rows", |d, n| run(d, &[&[n, 3], &[3, 2]], |v| v[0].matmul(&v[1]))),
            ("matmul_nt", |d, n| run(d, &[&[5, n], &[4, n]], |v| v[0].matmul_nt(&v[1]))),
            ("matmul_tn", |d, n| run(d, &[&[n, 4], &[n, 8]], |v| v[0].matmul_tn(&v[1]))),
            ("matmul of tiles", |d, n| {
                Ok(vec![matmul(&data(d, &[32, n], 1)?, &data(d, &[n, 32], 2)?, Layout::NN)?])
            }),
            ("linear", |d, n| {
                run(d, &[&[n, 3], &[3, 4], &[4]], |v| {
                    linear(&v[0], &v[1], Some(&v[2]), Activation::Relu)
                })
            }),
            ("linear of packed spikes", |d, n| {
                let s = spikes(d, &[n, 1, 3])?;
                run(d, &[&[3, 4], &[4]], |v| {
                    let s = v[0].tape().constant(&s);
                    linear(&s, &v[0], Some(&v[1]), Activation::Identity)
                })
            }),
            ("linear of wide packed spikes", |d, n| {
                let s = spikes(d, &[4, 1, n])?;
                run(d, &[&[n, 4]], |v| {
                    linear(&v[0].tape().constant(&s), &v[0], None, Activation::Identity)
                })
            }),
            ("complex_linear", |d, n| {
                run(d, &[&[n, 3, 2], &[2, 3, 4]], |v| {
                    complex_linear(&v[0], &v[1], None, Activation::Identity)
                })
            }),
            ("graph_dense", |d, n| {
                let (w, b): (&[usize], &[usize]) = (&[2, 3, 3], &[2, 3]);
                run(d, &[&[n, 3, 2], w, w, w, b, b, b], |v| {
                    graph_dense(&v[0], [&v[1], &v[2], &v[3]], [&v[4], &v[5], &v[6]], 0.01)
                })
            }),
            ("graph_diag", |d, n| {
                run(d, &[&[n, 3, 2], &[3, 4, 3]], |v| graph_diag(&v[0], &v[1], 0.01))
            }),
            ("graph_diag_outer", |d, n| {
                run(d, &[&[n, 2], &[3], &[3, 4, 3]], |v| {
                    graph_diag_outer(&v[0], &v[1], &v[2], 0.01)
                })
            }),
        ],
        &[],
    );
}

#[test]
fn layouts() {
    sweep(
        &[
            ("transpose", |d, n| run(d, &[&[n, 9]], |v| v[0].transpose())),
            ("permute", |d, n| run(d, &[&[2, n, 3]], |v| v[0].permute(&[2, 0, 1]))),
            ("slice", |d, n| run(d, &[&[2, n]], |v| v[0].narrow(1, 1..n - 1))),
            ("pad", |d, n| run(d, &[&[n, 2]], |v| v[0].pad(&[(1, 2), (0, 1)]))),
            ("concat", |d, n| run(d, &[&[2, n], &[2, 3]], |v| concat(&[&v[0], &v[1]], 1))),
            ("expand", |d, n| run(d, &[&[1, 3]], |v| v[0].expand([n, 3]))),
            ("broadcast", |d, n| run(d, &[&[n, 3], &[3]], |v| v[0].mul(&v[1]))),
            ("sigmoid", |d, n| run(d, &[&[n]], |v| v[0].sigmoid())),
            ("pack", |d, n| Ok(vec![pack(&unpack(&spikes(d, &[n, 2])?)?)?])),
        ],
        &[],
    );
}

#[test]
fn tokens() {
    sweep(
        &[
            ("embedding", |d, n| {
                let tokens = words(d, &[n], 7)?;
                run(d, &[&[7, 3]], |v| v[0].embedding(&tokens))
            }),
            ("embedding of one token", |d, n| {
                let tokens = words(d, &[n], 1)?;
                run(d, &[&[2, 4]], |v| v[0].embedding(&tokens))
            }),
            ("embedding of many tokens", |d, n| {
                let tokens = words(d, &[9], n)?;
                run(d, &[&[n, 2]], |v| v[0].embedding(&tokens))
            }),
            ("token_shift", |d, n| run(d, &[&[n, 1, 3], &[3]], |v| v[0].token_shift(&v[1], None))),
            ("mix", |d, n| run(d, &[&[n, 3], &[n, 3], &[1]], |v| v[0].mix(&v[1], &v[2]))),
        ],
        &[],
    );
}

#[test]
fn taps() {
    sweep(
        &[
            ("depthwise_conv of many taps", |d, n| {
                run(d, &[&[3, 1, 2], &[n, 2], &[2]], |v| v[0].depthwise_conv(&v[1], Some(&v[2]), 1))
            }),
            ("depthwise_conv of many steps", |d, n| {
                run(d, &[&[n, 1, 2], &[3, 2]], |v| v[0].depthwise_conv(&v[1], None, 2))
            }),
            ("causal_conv of many taps", |d, n| {
                run(d, &[&[3, 1, 2], &[n, 2, 2]], |v| {
                    v[0].causal_conv(&v[1], None, 1, Activation::Identity)
                })
            }),
            ("causal_conv of many steps", |d, n| {
                run(d, &[&[n, 1, 2], &[3, 2, 2]], |v| {
                    v[0].causal_conv(&v[1], None, 2, Activation::Identity)
                })
            }),
        ],
        &[],
    );
}

/// The spikes of a scan of small inputs, whose membrane stays away from the threshold, and gradients.
fn fire(device: &Device, steps: usize, save: Save) -> Result<Vec<Tensor>> {
    run(device, &[&[steps, 2]], |v| {
        Ok(Lif::new().threshold(9.0).save(save).scan(&v[0], None)?.spikes)
    })
}

#[test]
fn steps() {
    sweep(
        &[
            ("decay_scan", |d, n| {
                run(d, &[&[n, 1, 2], &[2]], |v| Ok(v[0].decay_scan(&v[1], None)?.h))
            }),
            ("decay_scan in one walk", |d, n| {
                run(d, &[&[n, 1, 2], &[2]], |v| {
                    let scan = Recurrence::average().plan(Plan::Sequential);
                    Ok(scan.scan(&v[0], Decay::Logit(&v[1]), None)?.h)
                })
            }),
            ("trace", |d, n| run(d, &[&[n, 1, 2]], |v| Ok(v[0].trace(Decay::Fixed(0.9), None)?.h))),
            ("wkv", |d, n| {
                let x: &[usize] = &[n, 1, 2];
                run(d, &[x, x, &[2], &[2]], |v| Ok(wkv(&v[0], &v[1], &v[2], &v[3], None)?.y))
            }),
            ("Lif", |d, n| fire(d, n, Save::Membrane)),
            ("Lif with checkpoints", |d, n| fire(d, n, Save::Checkpoints(32))),
            ("Synaptic", |d, n| {
                run(d, &[&[n, 2], &[2, 2], &[2]], |v| {
                    let parameters =
                        SynapticParameters { beta: Some(&v[2]), ..SynapticParameters::default() };
                    let neuron = Synaptic::new(0.5, 0.75).threshold(99.0).trace(true);
                    let out = neuron.scan_with(&v[0], Some(&v[1]), &parameters)?;
                    out.membrane.expect("a trace").add(&out.spikes)
                })
            }),
            ("latency", |d, n| Ok(vec![latency(&data(d, &[5], 1)?, n, Latency::default())?])),
            ("delta", |d, n| Ok(vec![delta(&data(d, &[n, 2], 1)?, 0.5, false)?.on])),
            ("repeat_steps", |d, n| run(d, &[&[3]], |v| v[0].repeat_steps(n))),
            ("rfft", |d, n| run(d, &[&[1, n]], |v| v[0].rfft(1, Scaling::Ortho))),
            ("fft", |d, n| run(d, &[&[1, n, 2]], |v| v[0].fft(1, Scaling::Ortho))),
            ("ComplexGate", |d, n| {
                run(d, &[&[n, 1, 2, 2]], |v| Ok(ComplexGate::new().run(&v[0])?.y))
            }),
            ("gate_bins", |d, n| run(d, &[&[n, 3, 1, 2], &[3]], |v| v[0].gate_bins(&v[1], 1))),
            ("node_lines", |d, n| run(d, &[&[1, n], &[2, 1, 2, 2]], |v| node_lines(&v[0], &v[1]))),
            ("token_lines", |d, n| {
                run(d, &[&[n], &[n], &[4, 2], &[2, 1, 2]], |v| {
                    let variance = v[1].mul(&v[1])?;
                    token_lines(&v[0], &variance, &v[2], &v[3])
                })
            }),
            ("SpikeAttention", |d, n| {
                let x: &[usize] = &[n, 1, 4];
                let gate = spikes(d, x)?;
                run(d, &[x, x, x], |v| {
                    let attention = SpikeAttention::new(1).window(3).anchors(2);
                    attention.attend(&v[0], &v[1], &v[2], &gate)
                })
            }),
            ("SpikeProduct", |d, n| {
                let tape = Tape::off();
                let x = tape.constant(&spikes(d, &[n, 1, 4])?);
                Ok(vec![
                    SpikeProduct::new(1).form(Form::Linear).attend(&x, &x, &x)?.value().clone(),
                ])
            }),
        ],
        &["Lif", "Lif with checkpoints", "ComplexGate", "token_lines"],
    );
}

/// What two steps of an optimizer make of a parameter.
fn stepped<O: Optimizer>(
    device: &Device,
    shape: &[usize],
    build: impl FnOnce(&[Param]) -> Result<O>,
) -> Result<Vec<Tensor>> {
    let param = Param::new("p", data(device, shape, 1)?);
    let mut optimizer = build(std::slice::from_ref(&param))?;
    for seed in 2..4 {
        let tape = Tape::new();
        let y = tape.param(&param);
        let gradients = y.backward_from(&data(device, shape, seed)?)?;
        optimizer.step(&gradients)?;
    }
    Ok(vec![param.value().clone()])
}

#[test]
fn optimizers() {
    sweep(
        &[
            ("AdamW", |d, n| {
                stepped(d, &[n, 3], |p| AdamW::builder().clip_norm(0.5).orthogonal(true).build(p))
            }),
            ("Muon", |d, n| stepped(d, &[n, 2], |p| Muon::builder().build(p))),
            ("NorMuon of columns", |d, n| stepped(d, &[n, 2], |p| NorMuon::builder().build(p))),
            ("NorMuon of rows", |d, n| stepped(d, &[2, n], |p| NorMuon::builder().build(p))),
            ("Dion", |d, n| stepped(d, &[n, 2], |p| Dion::builder().build(p))),
            ("Dion of rows", |d, n| stepped(d, &[2, n], |p| Dion::builder().build(p))),
        ],
        &[],
    );
}
