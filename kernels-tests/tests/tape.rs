//! The tape: what it keeps and lets go of, whose gradients it gives, and what it refuses.

mod common;

use common::numbers;
use kernels_tests::{Subject, forward, own_subjects, subjects};
use spikegrad::elementwise::{Binary, binary};
use spikegrad::models::{LanguageModel, Sampler, SpikeGpt, SpikeGptConfig};
use spikegrad::nn::{BatchNorm, Linear, Module};
use spikegrad::optim::{Optimizer, Sgd};
use spikegrad::random::Generator;
use spikegrad::tape::Backward;
use spikegrad::{DType, Device, Error, Gradients, Param, Result, Tape, Tensor, Var};

const LONG: usize = 5_000;

/// The host and the first adapter, opened for one test: memory is counted by device.
fn host_and_adapter() -> Vec<Subject> {
    own_subjects().into_iter().take(2).collect()
}

/// Runs `work` for a few rounds and for many: the bytes held afterwards, and the most that were held
/// meanwhile, are the same.
fn is_level(what: &str, subject: &Subject, mut work: impl FnMut(usize) -> Result<()>) {
    let device = &subject.device;
    let mut after = |rounds| {
        device.reset_peak();
        work(rounds).unwrap_or_else(|e| panic!("{what} on {}: {e}", subject.label));
        (device.memory().held, device.memory().peak)
    };
    // The first time, tables are made.
    after(3);
    assert_eq!(after(20), after(LONG), "{what} on {}", subject.label);
}

fn linear(device: &Device) -> Linear {
    Linear::builder(3, 2).build(&mut Generator::new(device, 1).unwrap()).unwrap()
}

fn loss(layer: &Linear, tape: &Tape, x: &Tensor) -> Result<Var> {
    forward(layer, &tape.constant(x), false)?.square()?.mean_all()
}

#[test]
fn memory_is_level_over_tokens() {
    for subject in host_and_adapter() {
        let config = SpikeGptConfig::new(5).width(4).layers(1).ffn(4);
        let model = SpikeGpt::new(&config, &mut Generator::new(&subject.device, 1).unwrap());
        let model = model.unwrap();
        is_level("tokens", &subject, |count| {
            model.generate(&[1, 2], count, &mut Sampler::new(1)).map(drop)
        });
    }
}

#[test]
fn memory_is_level_over_forward_passes() {
    for subject in host_and_adapter() {
        let (layer, x) = (linear(&subject.device), numbers(&subject.device, 12));
        let x = x.reshape([4, 3]).unwrap();
        for tape in [Tape::new as fn() -> Tape, Tape::off] {
            is_level("forward passes", &subject, |count| {
                (0..count).try_for_each(|_| loss(&layer, &tape(), &x).map(drop))
            });
        }
    }
}

#[test]
fn memory_is_level_over_training_steps() {
    for subject in host_and_adapter() {
        let (layer, x) = (linear(&subject.device), numbers(&subject.device, 12));
        let x = x.reshape([4, 3]).unwrap();
        let mut sgd = Sgd::builder().learning_rate(1e-3).build(&layer.params()).unwrap();
        is_level("training steps", &subject, |count| {
            (0..count).try_for_each(|_| sgd.step(&loss(&layer, &Tape::new(), &x)?.backward()?))
        });
    }
}

#[test]
fn a_tape_goes_with_its_last_handle() {
    for subject in own_subjects() {
        let device = &subject.device;
        let p = Param::new("p", Tensor::zeros(device, [1 << 16], DType::F32).unwrap());
        let held = device.memory().held;
        for tape in [Tape::new(), Tape::off()] {
            let _ = tape.param(&p).square().unwrap().mul(&tape.leaf(p.value())).unwrap();
        }
        assert_eq!(device.memory().held, held, "{}", subject.label);
        let weak = Tape::new().param(&p);
        drop((p, weak));
        assert_eq!(device.memory().held, 0, "{}", subject.label);
    }
}

fn one(device: &Device, value: f32) -> Tensor {
    Tensor::from_slice(device, &[value], [1]).unwrap()
}

fn of(gradients: &Gradients, var: &Var) -> Option<f32> {
    gradients.get(var).map(|t| t.item().unwrap())
}

/// That an outcome is the refusal of an argument by `op`.
fn refused<T>(outcome: Result<T>, by: &str) {
    match outcome {
        Err(Error::Argument { op, .. }) => assert_eq!(op, by),
        Err(other) => panic!("{by}: {other}"),
        Ok(_) => panic!("{by} is not refused"),
    }
}

#[test]
fn variables_from_before_a_backward_pass_are_refused() {
    let device = Device::host();
    let tape = Tape::new();
    let p = Param::new("p", one(&device, 5.0));
    let (a, b) = (tape.leaf(&one(&device, 2.0)), tape.leaf(&one(&device, 3.0)));
    let loss = a.mul(&b).unwrap().mul(&tape.param(&p)).unwrap();
    let first = loss.backward().unwrap();
    assert_eq!((of(&first, &a), of(&first, &b)), (Some(15.0), Some(10.0)));
    refused(a.mul(&b), "mul");
    refused(a.square(), "square");
    refused(tape.leaf(&one(&device, 7.0)).mul(&a), "mul");
    refused(loss.backward(), "backward");
    refused(a.backward(), "backward");
    // The tape itself goes on.
    let n = tape.leaf(&one(&device, 7.0));
    let second = n.mul(&a.detach()).unwrap().mul(&tape.param(&p)).unwrap().backward().unwrap();
    assert_eq!(of(&second, &n), Some(10.0));
    assert_eq!(second.of(&p).unwrap().item().unwrap(), 14.0);
    // Each answers for its own.
    let other = Tape::new();
    let foreign = [other.leaf(&one(&device, 0.0)), other.leaf(&one(&device, 0.0))];
    for var in foreign.iter().chain([&n]) {
        assert_eq!(of(&first, var), None);
    }
    for var in foreign.iter().chain([&a, &b]) {
        assert_eq!(of(&second, var), None);
    }
}

/// The outcome of a backward pass through an operator `op` of two inputs, the second of which has no
/// gradient, that gives what `give` makes.
fn given(device: &Device, give: impl FnOnce(&mut Backward<'_>) + Send + 'static) -> Result<()> {
    let tape = Tape::new();
    let (x, y) = (tape.leaf(&numbers(device, 6)), tape.constant(&numbers(device, 6)));
    let output = one(device, 0.0);
    let z = tape.record_one("op", &[&x, &y], output, move |bw| {
        give(bw);
        Ok(())
    })?;
    z.backward().map(drop)
}

#[test]
fn gradients_are_checked_where_they_are_given() {
    for Subject { device, label } in subjects() {
        let zeros = |shape: &[usize], dtype| Tensor::zeros(device, shape, dtype).unwrap();
        let right = zeros(&[6], DType::F32);
        let two = (right.clone(), right.clone());
        given(device, move |bw| bw.give(0, two.0)).unwrap();
        given(device, move |bw| bw.give(1, two.1)).unwrap();
        for shape in [&[2, 3][..], &[5], &[7], &[1], &[]] {
            let wrong = zeros(shape, DType::F32);
            let outcome = given(device, move |bw| bw.give(0, wrong));
            assert!(matches!(outcome, Err(Error::Shape { op: "op", .. })), "{label} {shape:?}");
        }
        for dtype in [DType::U32, DType::F16, DType::Bits] {
            let wrong = zeros(&[6], dtype);
            let outcome = given(device, move |bw| bw.give(0, wrong));
            assert!(matches!(outcome, Err(Error::DType { op: "op", .. })), "{label} {dtype}");
        }
        let foreign = numbers(&Device::oracle(), 6);
        let outcome = given(device, move |bw| bw.give(0, foreign));
        assert!(matches!(outcome, Err(Error::DeviceMismatch { op: "op", .. })), "{label}");
        let (a, b) = (right.clone(), right.clone());
        refused(given(device, move |bw| bw.give(2, a)), "op");
        let twice = move |bw: &mut Backward<'_>| {
            bw.give(0, b.clone());
            bw.give(0, b);
        };
        refused(given(device, twice), "op");
        refused(given(device, |bw| assert!(bw.upstream(1).is_none())), "op");
        given(device, |bw| assert!(bw.needs(0) && !bw.needs(1) && !bw.needs(2))).unwrap();
    }
}

#[test]
fn gradients_are_checked_where_they_are_replaced_and_seeded() {
    let device = Device::host();
    let (p, q) = (Param::new("p", numbers(&device, 6)), Param::new("q", numbers(&device, 6)));
    let y = Tape::new().param(&p).square().unwrap();
    let words = Tensor::zeros(&device, [6], DType::U32).unwrap();
    assert!(matches!(y.backward_from(&numbers(&device, 5)), Err(Error::Shape { .. })));
    assert!(matches!(y.backward_from(&words), Err(Error::DType { .. })));
    let foreign = numbers(&Device::oracle(), 6);
    assert!(matches!(y.backward_from(&foreign), Err(Error::DeviceMismatch { .. })));
    let mut gradients = y.backward_from(&numbers(&device, 6)).unwrap();
    assert!(matches!(gradients.set(&p, numbers(&device, 5)), Err(Error::Shape { .. })));
    assert!(matches!(gradients.set(&p, words), Err(Error::DType { .. })));
    refused(gradients.set(&q, numbers(&device, 6)), "Gradients::set");
    gradients.set(&p, numbers(&device, 6)).unwrap();
}

#[test]
fn a_loss_without_a_gradient_is_an_error() {
    let device = Device::host();
    let (p, q) = (Param::new("p", one(&device, 2.0)), Param::new("q", one(&device, 3.0)));
    let why = |outcome: Result<Gradients>, part: &str| {
        let error = outcome.unwrap_err().to_string();
        assert!(error.starts_with("backward: ") && error.contains(part), "{error}");
    };
    why(Tape::off().param(&p).square().unwrap().backward(), "off");
    why(Tape::new().constant(p.value()).square().unwrap().backward(), "depends on no leaf");
    why(Tape::new().param(&p).detach().square().unwrap().backward(), "depends on no leaf");

    let of_p = || Tape::new().param(&p).square().unwrap().backward().unwrap();
    let mut of_q = Sgd::builder().learning_rate(0.5).build(std::slice::from_ref(&q)).unwrap();
    refused(of_q.step(&of_p()), "sgd");
    refused(of_q.step(&Gradients::default()), "sgd");
    // One that this loss does not use stays as it is.
    let mut both = Sgd::builder().learning_rate(0.5).build(&[p.clone(), q.clone()]).unwrap();
    both.step(&of_p()).unwrap();
    assert_eq!((p.value().item().unwrap(), q.value().item().unwrap()), (0.0, 3.0));
}

/// That the backward pass of `loss` refuses what `op` saved.
fn changed(what: &str, loss: &Var, by: &str) {
    match loss.backward() {
        Err(Error::Changed { op, .. }) => assert_eq!(op, by, "{what}"),
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: a gradient of neither value"),
    }
}

type Change = fn(&Param) -> Result<()>;

/// The ways to write into a parameter of four elements.
const CHANGES: [(&str, Change); 6] = [
    ("write", |p| p.value().write(&[0.0f32; 4])),
    ("clear", |p| p.value().clear()),
    ("copy_from", |p| p.value().copy_from(&numbers(p.value().device(), 4))),
    ("a reshaped handle", |p| p.value().reshape([2, 2])?.clear()),
    ("a step", |p| {
        let mut sgd = Sgd::builder().learning_rate(1.0).build(std::slice::from_ref(p))?;
        sgd.step(&Tape::new().param(p).square()?.sum_all()?.backward()?)
    }),
    ("a replay", |p| {
        let (x, device) = (numbers(p.value().device(), 4), p.value().device());
        device.capture(|| p.value().copy_from(&x))?.1.replay()
    }),
];

#[test]
fn what_was_changed_after_the_forward_pass_is_refused() {
    for Subject { device, label } in own_subjects().iter() {
        for (what, change) in CHANGES {
            let what = format!("{what} on {label}");
            let p = Param::new("p", numbers(device, 4));
            let loss = Tape::new().param(&p).square().unwrap().sum_all().unwrap();
            change(&p).unwrap();
            changed(&what, &loss, "square");
            // Changed before the forward pass, or after the backward pass: no matter.
            let tape = Tape::new();
            let loss = tape.param(&p).square().unwrap().sum_all().unwrap();
            loss.backward().unwrap();
            change(&p).unwrap();
            // A sum saves nothing.
            let loss = tape.param(&p).add(&tape.leaf(p.value())).unwrap().sum_all().unwrap();
            change(&p).unwrap();
            loss.backward().unwrap_or_else(|e| panic!("{what}: {e}"));
        }
    }
}

#[test]
fn a_replay_changes_what_its_step_made() {
    for Subject { device, label } in own_subjects().iter() {
        let x = numbers(device, 4);
        let (kept, capture) = device.capture(|| binary(Binary::Mul, &x, &x)).unwrap();
        let loss = Tape::new().leaf(&kept).square().unwrap().sum_all().unwrap();
        capture.replay().unwrap();
        changed(&format!("a replay on {label}"), &loss, "square");
    }
}

/// Whatever a training step does to the statistics between a pass and its backward.
#[test]
fn gradients_keep_the_statistics_of_their_pass() {
    for Subject { device, .. } in own_subjects().iter() {
        let norm = BatchNorm::new(2, device).unwrap();
        let x = numbers(device, 8).reshape([4, 2]).unwrap();
        let gradient = |training: bool, moved: bool| {
            let tape = Tape::new();
            let x = tape.leaf(&x);
            let loss = forward(&norm, &x, training).unwrap().square().unwrap().sum_all().unwrap();
            if moved {
                let _ = forward(&norm, &Tape::off().leaf(x.value()), true).unwrap();
            }
            loss.backward().unwrap().get(&x).unwrap().to_vec::<f32>().unwrap()
        };
        for training in [false, true] {
            assert_eq!(gradient(training, false), gradient(training, true));
        }
    }
}

#[test]
fn operators_of_a_caller_are_watched_too() {
    for Subject { device, label } in own_subjects().iter() {
        let (x, saved) = (numbers(device, 4), numbers(device, 4));
        let tape = Tape::new();
        let record = |kept: Tensor, read: fn(&Tensor) -> Result<Tensor>| {
            tape.record_one("own", &[&tape.leaf(&x)], one(device, 0.0), move |bw| {
                bw.give(0, read(&kept)?);
                Ok(())
            })
        };
        let reads: [fn(&Tensor) -> Result<Tensor>; 3] = [
            Tensor::duplicate,
            |kept| Tensor::from_slice(kept.device(), &kept.to_vec::<f32>()?, *kept.shape()),
            |kept| binary(Binary::Add, kept, kept),
        ];
        for read in reads {
            let y = record(saved.clone(), read).unwrap();
            saved.clear().unwrap();
            changed(label, &y, "own");
        }
        // What it writes itself it may read.
        let scratch = record(saved.clone(), |kept| {
            kept.write(&[1.0f32, 2.0, 3.0, 4.0])?;
            kept.duplicate()
        });
        scratch.unwrap().backward().unwrap_or_else(|e| panic!("{label}: {e}"));
    }
}

#[test]
fn a_recorded_training_step_watches_itself() {
    for Subject { device, label } in own_subjects().iter() {
        let (layer, x) = (linear(device), numbers(device, 12).reshape([4, 3]).unwrap());
        let mut sgd = Sgd::builder().learning_rate(1e-3).build(&layer.params()).unwrap();
        let step = || sgd.step(&loss(&layer, &Tape::new(), &x)?.backward()?);
        let ((), capture) = device.capture(step).unwrap();
        // The gradient of an input is the product with the weight, which the step changes.
        let y = forward(&layer, &Tape::new().leaf(&x), false).unwrap().sum_all().unwrap();
        capture.replay().unwrap();
        changed(label, &y, "linear");
    }
}
