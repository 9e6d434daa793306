//! Indices out of range, and padding: every operator that takes indices, on every device.

use kernels_tests::{Random, conform, own_subjects};
use spikegrad::loss::{self, CrossEntropy, LinearCrossEntropy, Reduction};
use spikegrad::nn::{BatchNorm, Embedding, Module};
use spikegrad::optim::{AdamW, Optimizer, Spam};
use spikegrad::random::Generator;
use spikegrad::{Capture, Device, Error, Param, Result, Tape, Tensor, Var};

fn data(device: &Device, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let values = Random::new(count as u64).values(count, -2.0, 2.0);
    Tensor::from_slice(device, &values, shape).unwrap()
}

fn words(device: &Device, values: &[u32]) -> Tensor {
    Tensor::from_slice(device, values, [values.len()]).unwrap()
}

/// An operator on one index a row, of which there are three: what it makes.
type Op = fn(&Tensor) -> Result<Tensor>;

/// The operators, with what they call an index.
const OPS: [(&str, &str, Op); 8] = [
    ("cross_entropy", "target", |t| {
        let x = Tape::new().leaf(&data(t.device(), &[3, 3]));
        Ok(loss::cross_entropy(&x, t, CrossEntropy::default())?.value().clone())
    }),
    ("stable_max", "target", |t| {
        let x = Tape::new().leaf(&data(t.device(), &[3, 3]));
        Ok(loss::stable_max(&x, t, CrossEntropy::default())?.value().clone())
    }),
    ("cross_entropy", "target", |t| {
        let x = Tape::new().leaf(&data(t.device(), &[5, 3, 3]));
        Ok(loss::rate_cross_entropy(&x, t, CrossEntropy::default())?.value().clone())
    }),
    ("cross_entropy", "target", |t| {
        let x = Tape::new().leaf(&data(t.device(), &[5, 3, 3]));
        Ok(loss::count_cross_entropy(&x, t, CrossEntropy::default())?.value().clone())
    }),
    ("linear_cross_entropy", "target", |t| {
        let x = Tape::new().leaf(&data(t.device(), &[3, 3]));
        Ok(loss::linear_cross_entropy(&x, &x, t)?.value().clone())
    }),
    ("linear_cross_entropy", "target", |t| {
        let x = data(t.device(), &[3, 3]);
        loss::position_losses(&x, &x, t)
    }),
    ("accuracy", "target", |t| loss::accuracy(&data(t.device(), &[3, 3]), t)),
    ("embedding", "token", |t| {
        Ok(Tape::new().leaf(&data(t.device(), &[3, 2])).embedding(t)?.value().clone())
    }),
];

fn names(label: &str, error: &Error, op: &str, what: &str) {
    let text = error.to_string();
    let wanted = format!("{what} 7 at position 1, allowed are 0 to 2");
    let named = matches!(error, Error::Argument { .. }) && text.contains(op);
    assert!(named && text.contains(&wanted), "{label}, {op}: {text}");
}

#[test]
fn an_index_out_of_range_is_named() {
    for subject in own_subjects() {
        let (device, label) = (&subject.device, &subject.label);
        device.check_indices(true);
        let (good, bad) = (words(device, &[0, 2, 1]), words(device, &[0, 7, 9]));
        for (op, what, run) in OPS {
            run(&good).and_then(|y| y.to_vec::<f32>()).unwrap();
            // At once on the host, on an adapter with what is read next; once.
            let outcome = run(&bad);
            assert_eq!(outcome.is_err(), device.is_host(), "{label}, {op}");
            let error = outcome.and_then(|y| y.to_vec::<f32>()).unwrap_err();
            names(label, &error, op, what);
            run(&good).and_then(|y| y.to_vec::<f32>()).unwrap();
        }
    }
}

#[test]
fn an_index_that_is_written_before_a_replay_is_named() {
    for subject in own_subjects() {
        let (device, label) = (&subject.device, &subject.label);
        device.check_indices(true);
        for (op, what, run) in OPS {
            let indices = words(device, &[0, 2, 1]);
            let (y, capture) = device.capture(|| run(&indices)).unwrap();
            capture.replay().and_then(|()| y.to_vec::<f32>()).unwrap();
            indices.write(&[0u32, 7, 9]).unwrap();
            let error = capture.replay().and_then(|()| y.to_vec::<f32>()).unwrap_err();
            names(label, &error, op, what);
            indices.write(&[2u32, 2, 2]).unwrap();
            capture.replay().and_then(|()| y.to_vec::<f32>()).unwrap();
        }
    }
}

/// A step with all that a step writes: running statistics, the parameters and the state of two
/// optimizers, one of which has stepped before the second target is looked at and starts its moments
/// anew at every third step.
struct Steps {
    targets: [Tensor; 2],
    norm: BatchNorm,
    params: Vec<Param>,
    optimizers: (Spam, AdamW),
    capture: Option<Capture>,
}

impl Steps {
    fn new(device: &Device) -> Self {
        let param = |name: &str, shape: &[usize]| Param::new(name, data(device, shape));
        let params = vec![param("first", &[4, 3]), param("second", &[4, 3])];
        let optimizers = (
            Spam::builder().interval(3).warmup(1).clip_norm(1.0).build(&params[..1]).unwrap(),
            AdamW::builder().build(&params[1..]).unwrap(),
        );
        let targets = [[0, 2, 1], [1, 1, 2]].map(|targets| words(device, &targets));
        let norm = BatchNorm::new(4, device).unwrap();
        let mut steps = Self { targets, norm, params, optimizers, capture: None };
        let (_, capture) = device.capture(|| steps.run()).unwrap();
        steps.capture = Some(capture);
        steps
    }

    fn run(&mut self) -> Result<()> {
        let Self { targets, norm, params, optimizers, .. } = self;
        let x = data(params[0].value().device(), &[3, 4]);
        let loss = |param: &Param, targets: &Tensor| {
            let tape = Tape::new();
            let x = kernels_tests::forward(norm, &tape.leaf(&x), true)?;
            let logits = x.matmul(&tape.param(param))?;
            loss::cross_entropy(&logits, targets, CrossEntropy::default())?.backward()
        };
        optimizers.0.step(&loss(&params[0], &targets[0])?)?;
        optimizers.1.step(&loss(&params[1], &targets[1])?)
    }

    fn replay(&self) -> Result<()> {
        self.capture.as_ref().unwrap().replay()
    }

    /// All that goes on from step to step.
    fn state(&self) -> (u64, u64, Vec<Vec<f32>>) {
        let (first, second) = (&self.optimizers.0, &self.optimizers.1);
        let params = [self.params.clone(), self.norm.buffers()].concat();
        let params = params.iter().map(|param| param.value().clone());
        let state = first.state().into_iter().chain(second.state()).map(|(_, tensor)| tensor);
        let values = params.chain(state).map(|tensor| tensor.to_vec::<f32>().unwrap());
        (first.steps(), second.steps(), values.collect())
    }
}

#[test]
fn a_failed_replay_on_the_host_leaves_everything_as_it_was() {
    for device in [Device::host(), Device::oracle()] {
        let (steps, undisturbed) = (Steps::new(&device), Steps::new(&device));
        for step in 1..8u64 {
            assert_eq!(steps.state(), undisturbed.state(), "before step {step} on {device}");
            // At first nothing is written yet; then one optimizer has stepped.
            for target in &steps.targets {
                let good = target.to_vec::<u32>().unwrap();
                target.write(&[0u32, 7, 1]).unwrap();
                let error = steps.replay().unwrap_err();
                names("host", &error, "cross_entropy", "target");
                assert_eq!(steps.state(), undisturbed.state(), "step {step} on {device}");
                target.write(&good).unwrap();
            }
            steps.replay().unwrap();
            undisturbed.replay().unwrap();
            assert_eq!(steps.state().0, step + 1);
        }
    }
}

#[test]
fn without_the_check_it_counts_as_nothing() {
    for subject in own_subjects() {
        let device = &subject.device;
        device.check_indices(false);
        let bad = words(device, &[7, 7, 7]);
        for (op, _, run) in OPS {
            let y = run(&bad).and_then(|y| y.to_vec::<f32>()).unwrap();
            assert!(y.iter().all(|v| *v == 0.0), "{}, {op}: {y:?}", subject.label);
        }
    }
}

/// The loss of logits, weights or both, with its gradient; rows of a target that is padding.
fn padded(
    device: &Device,
    targets: &[u32],
    ignore_index: Option<u32>,
    reduction: Reduction,
    rows: usize,
) -> Result<Vec<Tensor>> {
    let t = words(device, targets);
    let seed = Tensor::from_slice(device, &[3.0f32], [])?;
    let mut out = Vec::new();
    let mut keep = |loss: &Var, leaf: &Var| -> Result<()> {
        let gradient = loss.backward_from(&seed)?.get(leaf).unwrap().clone();
        out.extend([loss.value().clone(), gradient]);
        Ok(())
    };
    let options = CrossEntropy { ignore_index, reduction, smoothing: 0.1, temperature: 2.0 };
    let fused = LinearCrossEntropy { ignore_index, reduction, budget: Some(10) };
    let logits = spikegrad::layout::slice(&data(device, &[5, 4]), &[0..rows, 0..4])?;
    let leaf = || Tape::new().leaf(&logits);
    let x = leaf();
    keep(&loss::cross_entropy(&x, &t, options)?, &x)?;
    let x = leaf();
    keep(&loss::stable_max(&x, &t, options)?, &x)?;
    let x = leaf();
    let w = x.tape().constant(&data(device, &[6, 4]));
    keep(&loss::linear_cross_entropy_with(&x, &w, &t, fused)?, &x)?;
    out.push(loss::position_losses_with(&logits, w.value(), &t, fused)?);
    out.push(loss::accuracy_with(&logits, &t, ignore_index)?);
    Ok(out)
}

/// A class of the data as padding, or a number that is none; the first three rows of five count.
#[test]
fn padding_is_as_if_it_were_not_there() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        for padding in [0, 3, 9, u32::MAX] {
            let all = [1, 2, 1, padding, padding];
            let what = format!("{reduction:?} with padding {padding}");
            let run = |device: &Device| padded(device, &all, Some(padding), reduction, 5);
            conform(&what, 1e-5, run);
            let device = Device::oracle();
            let found = run(&device).unwrap();
            let wanted = padded(&device, &all[..3], None, reduction, 3).unwrap();
            for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let (found, wanted) =
                    (found.to_vec::<f64>().unwrap(), wanted.to_vec::<f64>().unwrap());
                let (kept, rest) = found.split_at(wanted.len());
                let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
                assert!(kept.iter().zip(&wanted).all(close), "{what}, {i}: {kept:?} {wanted:?}");
                assert!(rest.iter().all(|v| *v == 0.0), "{what}, {i}: {rest:?}");
            }
        }
    }
}

#[test]
fn a_mean_over_nothing_but_padding_is_zero() {
    conform("all padding", 0.0, |device| {
        let out = padded(device, &[3; 5], Some(3), Reduction::Mean, 5)?;
        for y in &out {
            assert!(y.to_vec::<f64>()?.iter().all(|v| *v == 0.0));
        }
        Ok(out)
    });
}

#[test]
fn the_row_of_padding_learns_nothing() {
    conform("an embedding with padding", 1e-6, |device| {
        let layer = Embedding::new(4, 3, 0.5, &mut Generator::new(device, 1)?)?.padding(2);
        let tape = Tape::new();
        let y =
            kernels_tests::forward(&layer, &tape.constant(&words(device, &[1, 2, 3, 2])), false)?;
        assert!(y.value().to_vec::<f32>()?[3..6].iter().all(|v| *v == 0.0));
        let gradients = y.square()?.sum_all()?.backward()?;
        let table = spikegrad::nn::Module::params(&layer).remove(0);
        let gradient = gradients.of(&table).unwrap().clone();
        assert!(gradient.to_vec::<f32>()?[6..9].iter().all(|v| *v == 0.0));
        Ok(vec![y.value().clone(), gradient])
    });
}
