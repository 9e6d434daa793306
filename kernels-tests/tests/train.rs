//! The training step: the same bits as a loop by hand, micro-batches, several shapes, mistakes.

use kernels_tests::{Random, Subject, assert_close, own_subjects};
use spikegrad::checkpoint::Checkpoint;
use spikegrad::elementwise::Activation;
use spikegrad::lif::{Lif, Spikes};
use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
use spikegrad::nn::{BatchNorm, Dropout, Layer, LifLayer, Linear, Map, Module, Pass, Sequential};
use spikegrad::optim::{AdamW, Optimizer, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::{Fit, StepLoss, TrainStep};
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

const INPUTS: usize = 6;
const CLASSES: usize = 3;

/// A network that draws, has a state of its own, and spikes.
fn network(random: &mut Generator) -> Result<Sequential> {
    let device = random.device().clone();
    Ok(Sequential::new()
        .named("first", Linear::builder(INPUTS, 8).gain(2.0).build(random)?)
        .named("norm", BatchNorm::new(8, &device)?)
        .and(Dropout::new(0.25)?)
        .and(Map::new(|x| x.repeat_steps(4)))
        .and(LifLayer::new(Lif::new().output(Spikes::F32)))
        .and(Map::new(|x| x.rate()))
        .named("second", Linear::builder(8, CLASSES).build(random)?))
}

fn optimizer(model: &dyn Module) -> Result<AdamW> {
    let schedule = Schedule::cosine(0.05, 12).warmup(3);
    AdamW::builder().schedule(schedule).clip_norm(0.5).weight_decay(0.1).build(&model.params())
}

fn batch(device: &Device, rows: usize, seed: u64) -> [Tensor; 2] {
    let mut random = Random::new(seed);
    let x = random.values(rows * INPUTS, -1.0, 1.0);
    let y: Vec<u32> = (0..rows).map(|_| random.word() % CLASSES as u32).collect();
    [
        Tensor::from_slice(device, &x, [rows, INPUTS]).unwrap(),
        Tensor::from_slice(device, &y, [rows]).unwrap(),
    ]
}

/// Rows of the batches of a run.
const ROWS: [usize; 9] = [7, 7, 5, 7, 5, 5, 7, 5, 7];

fn loss(network: &dyn Layer, pass: &mut Pass<'_>, [x, y]: [&Tensor; 2]) -> Result<[Var; 2]> {
    let logits = network.forward(&pass.constant(x), pass)?;
    Ok([cross_entropy(&logits, y, CrossEntropy::default())?, logits])
}

fn bits(model: &dyn Module) -> Vec<Vec<u32>> {
    let bits = |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
    model.saved().iter().map(|p| bits(p.value())).collect()
}

fn by_hand(device: &Device) -> Result<(Sequential, Vec<f32>)> {
    let mut random = Generator::new(device, 3)?;
    let network = network(&mut random)?;
    let mut optimizer = optimizer(&network)?;
    random.advance()?;
    let mut losses = Vec::new();
    for (i, rows) in ROWS.into_iter().enumerate() {
        let [x, y] = batch(device, rows, i as u64);
        let tape = Tape::new();
        let [loss, _] = loss(&network, &mut Pass::training(&tape, &mut random), [&x, &y])?;
        optimizer.step(&loss.backward()?)?;
        random.advance()?;
        losses.push(loss.value().item()?);
    }
    Ok((network, losses))
}

fn by_step(device: &Device) -> Result<(Sequential, Vec<f32>)> {
    let mut random = Generator::new(device, 3)?;
    let network = network(&mut random)?;
    let mut step = TrainStep::new(optimizer(&network)?, random)?;
    let mut losses = Vec::new();
    for (i, rows) in ROWS.into_iter().enumerate() {
        let [x, y] = batch(device, rows, i as u64);
        let before = step.run([&x, &y], |pass, [x, y]| {
            let [loss, logits] = loss(&network, pass, [x, y])?;
            Ok(StepLoss::new(loss).with("hits", &accuracy(logits.value(), y)?))
        })?;
        // Each run gives the numbers of the one before.
        assert_eq!(before.as_ref().map(|n| n.run()), (i > 0).then_some(i as u64));
        losses.extend(before.map(|numbers| numbers.loss()));
    }
    let last = step.finish()?.expect("the last");
    assert_eq!(last.run(), ROWS.len() as u64);
    assert!(last.get("hits")? <= 7.0 && last.get("loss")? == last.loss());
    assert_eq!(last.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["loss", "hits"]);
    let error = last.get("misses").unwrap_err().to_string();
    assert!(error.contains("train_step") && error.contains("`loss`, `hits`"), "{error}");
    assert!(step.finish()?.is_none());
    assert_eq!(step.optimizer().steps(), ROWS.len() as u64);
    losses.push(last.loss());
    Ok((network, losses))
}

/// With dropout, running statistics, a schedule, clipping, and two shapes in turn.
#[test]
fn replays_give_the_bits_of_a_loop_by_hand() {
    for Subject { label, device } in own_subjects() {
        let (wanted, found) = (by_hand(&device).unwrap(), by_step(&device).unwrap());
        assert_eq!(found.1, wanted.1, "losses on {label}");
        assert_eq!(bits(&found.0), bits(&wanted.0), "parameters on {label}");
    }
}

fn plain(random: &mut Generator) -> Result<Sequential> {
    Ok(Sequential::new()
        .and(Linear::builder(INPUTS, 8).activation(Activation::Tanh).build(random)?)
        .and(Linear::builder(8, CLASSES).build(random)?))
}

/// Micro-batches of two shapes, whose gradients are those of the whole batch.
#[test]
fn micro_batches_make_one_step() {
    for Subject { label, device } in own_subjects() {
        let run = |parts: usize| {
            let mut random = Generator::new(&device, 5).unwrap();
            let network = plain(&mut random).unwrap();
            let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
            let mut step = step.accumulate(parts).unwrap();
            for seed in 0..4 {
                let [x, y] = batch(&device, 12, seed);
                let rows = 12 / parts;
                let (x, y) = (x.to_vec::<f32>().unwrap(), y.to_vec::<u32>().unwrap());
                for (part, y) in y.chunks(rows).enumerate() {
                    assert_eq!(step.optimizer().steps(), seed);
                    let x = &x[part * rows * INPUTS..][..rows * INPUTS];
                    let x = Tensor::from_slice(&device, x, [rows, INPUTS]).unwrap();
                    let y = Tensor::from_slice(&device, y, [rows]).unwrap();
                    step.run([&x, &y], |pass, inputs| Ok(loss(&network, pass, inputs)?[0].clone()))
                        .unwrap();
                }
            }
            assert_eq!(step.optimizer().steps(), 4);
            assert!(step.launches() > 0);
            network.params()
        };
        let whole = run(1);
        for parts in [3, 4] {
            for (a, b) in run(parts).iter().zip(&whole) {
                let what = format!("{} of {parts} parts on {label}", a.name());
                assert_close(&what, a.value(), b.value(), 1e-4);
            }
        }
    }
}

/// A closure that fails, at first and between: as if those runs had not been.
#[test]
fn a_closure_that_fails_leaves_the_step_usable() {
    for Subject { label, device } in own_subjects() {
        let run = |failing: &[usize]| -> Result<Vec<Vec<u32>>> {
            let mut random = Generator::new(&device, 3)?;
            let network = plain(&mut random)?;
            let mut step = TrainStep::new(optimizer(&network)?, random)?;
            for (i, rows) in ROWS.into_iter().enumerate() {
                let [x, y] = batch(&device, rows, i as u64);
                if failing.contains(&i) {
                    let outcome = step.run([&x], |pass, [x]| {
                        let x = pass.constant(x);
                        let _ = x.dropout(0.5, pass.random()?)?;
                        network.forward(&x.transpose()?, pass)
                    });
                    assert!(outcome.is_err());
                }
                step.run([&x, &y], |pass, [x, y]| {
                    let dropped = pass.constant(x).dropout(0.5, pass.random()?)?;
                    loss(&network, pass, [dropped.value(), y]).map(|[loss, _]| loss)
                })?;
            }
            Ok(bits(&network))
        };
        assert_eq!(run(&[]).unwrap(), run(&[0, 2, 4]).unwrap(), "{label}");
    }
}

#[test]
fn bad_use_is_refused() {
    for Subject { device, .. } in own_subjects() {
        let other = Device::oracle();
        let mut random = Generator::new(&device, 3).unwrap();
        let network = plain(&mut random).unwrap();
        let foreign = Generator::new(&other, 3).unwrap();
        let error = TrainStep::new(optimizer(&network).unwrap(), foreign).unwrap_err();
        assert!(matches!(error, Error::DeviceMismatch { op: "train_step", .. }), "{error}");
        let mut step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
        let [x, y] = batch(&device, 4, 1);
        let away = batch(&other, 4, 1);
        let error = step
            .run([&away[0], &y], |pass, inputs| loss(&network, pass, inputs).map(|[loss, _]| loss));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::DeviceMismatch { op: "train_step", .. }), "{error}");
        let before = bits(&network);
        let error = step.run([&x], |pass, [x]| network.forward(&pass.constant(x), pass));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Shape { op: "train_step", .. }), "{error}");
        let mut with = |name: &str, number: &Tensor| {
            let run = step.run([&x, &y], |pass, inputs| {
                Ok(StepLoss::new(loss(&network, pass, inputs)?[0].clone()).with(name, number))
            });
            run.unwrap_err()
        };
        assert!(matches!(with("x", &x), Error::Shape { op: "train_step", .. }));
        let words = Tensor::zeros(&device, [1], DType::U32).unwrap();
        assert!(matches!(with("words", &words), Error::DType { op: "train_step", .. }));
        let number = Tensor::zeros(&device, [1], DType::F32).unwrap();
        assert!(matches!(with("loss", &number), Error::Argument { op: "train_step", .. }));
        let error = step.run([&x], |pass, [x]| pass.constant(x).mean_all()).unwrap_err();
        assert!(matches!(error, Error::Argument { op: "backward", .. }), "{error}");
        assert_eq!((bits(&network), step.optimizer().steps()), (before, 0));
        assert!(step.finish().unwrap().is_none());
        assert!(step.accumulate(0).is_err());
        // No inputs are no mistake: what the closure holds is read anew by each run.
        let random = Generator::new(&device, 3).unwrap();
        let mut step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
        let mut run = || {
            let run = step.run([], |pass, []| Ok(loss(&network, pass, [&x, &y])?[0].clone()));
            run.unwrap().map(|numbers| numbers.loss())
        };
        assert!(run().is_none());
        let first = run();
        x.clear().unwrap();
        assert!(run().is_some());
        assert_ne!(first, run());
    }
}

fn handed_on(
    step: &mut TrainStep<AdamW>,
    x: &Tensor,
    loss: impl FnMut(&mut Pass<'_>, [&Tensor; 1]) -> Result<Var>,
) -> f32 {
    step.run([x], loss).unwrap();
    step.finish().unwrap().unwrap().loss()
}

/// Two closures are two steps, also where their inputs are alike; a factor is an input.
#[test]
fn closures_and_factors() {
    let device = Device::host();
    let mut random = Generator::new(&device, 3).unwrap();
    let network = plain(&mut random).unwrap();
    let mut step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
    let [x, y] = batch(&device, 4, 1);
    let factor = |value: f32| Tensor::from_slice(&device, &[value], []).unwrap();
    for value in [1.0, 0.0, f32::NAN] {
        let before = bits(&network);
        step.run([&x, &y, &factor(value)], |pass, [x, y, factor]| {
            let [loss, _] = loss(&network, pass, [x, y])?;
            Ok(StepLoss::new(loss).scaled(factor))
        })
        .unwrap();
        // Not finite: clipping leaves the step out.
        assert_eq!(bits(&network) == before, value.is_nan());
    }
    assert_eq!(step.optimizer().skipped().unwrap(), 1);
    let twice = |step: &mut TrainStep<AdamW>| {
        step.run([&x, &y], |pass, inputs| loss(&network, pass, inputs).map(|[loss, _]| loss))
            .unwrap();
        step.run([&x, &y], |pass, inputs| loss(&network, pass, inputs)?[0].mul_scalar(1e3))
            .unwrap();
        step.finish().unwrap().unwrap().loss()
    };
    assert!(twice(&mut step) > 100.0 && twice(&mut step) > 100.0);
    // Also by way of one function.
    let mut losses = Vec::new();
    for _ in 0..2 {
        losses.push(handed_on(&mut step, &x, |pass, [x]| {
            network.forward(&pass.constant(x), pass)?.square()?.mean_all()
        }));
        losses.push(handed_on(&mut step, &x, |pass, [x]| {
            network.forward(&pass.constant(x), pass)?.square()?.mean_all()?.sub_scalar(1e3)
        }));
    }
    assert!(losses[0] >= 0.0 && losses[1] < -900.0, "{losses:?}");
    assert!(losses[2] >= 0.0 && losses[3] < -900.0, "{losses:?}");
}

/// However many runs and shapes there are.
#[test]
fn memory_is_level() {
    for Subject { label, device } in own_subjects() {
        let mut random = Generator::new(&device, 3).unwrap();
        let network = plain(&mut random).unwrap();
        let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
        let mut step = step.keeps(3);
        let mut run = |rows: usize| {
            let [x, y] = batch(&device, rows, 1);
            step.run([&x, &y], |pass, inputs| loss(&network, pass, inputs).map(|[loss, _]| loss))
                .unwrap();
            device.memory().held
        };
        let runs = if device.is_host() { 1000 } else { 200 };
        let after = (0..4).map(|_| run(8)).last();
        let later = (0..runs).map(|_| run(8)).last();
        assert_eq!(after, later, "one shape on {label}");
        let shapes =
            |from: usize, run: &mut dyn FnMut(usize) -> u64| (0..10).map(|i| run(from + i)).last();
        let after = shapes(20, &mut run);
        for _ in 0..5 {
            assert_eq!(after, shapes(20, &mut run), "ten shapes on {label}");
        }
    }
}

/// A file of its own for a test, removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("spikegrad-{name}-{}", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Parameters, running statistics, moments, schedule and draws.
#[test]
fn a_resumed_run_has_the_bits_of_one_that_was_not_stopped() {
    for Subject { label, device } in own_subjects() {
        let file = File::new("resumed");
        let begin = |seed: u64| {
            let mut random = Generator::new(&device, seed).unwrap();
            let network = network(&mut random).unwrap();
            let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
            (network, step)
        };
        let go = |(network, step): &mut (Sequential, TrainStep<AdamW>), runs: &[usize]| {
            for i in runs {
                let [x, y] = batch(&device, ROWS[*i], *i as u64);
                step.run([&x, &y], |pass, inputs| {
                    loss(network, pass, inputs).map(|[loss, _]| loss)
                })
                .unwrap();
            }
        };
        let mut whole = begin(3);
        go(&mut whole, &[0, 1, 2, 3, 4, 5]);
        let mut first = begin(3);
        go(&mut first, &[0, 1, 2]);
        first.1.save(&file.0, &first.0).unwrap();
        // Another start, which has run already.
        let mut second = begin(8);
        go(&mut second, &[4, 5]);
        let notes = second.1.resume(&file.0, &second.0).unwrap();
        assert_eq!(notes.parse::<u64>("optimizer.steps").unwrap(), 3);
        assert_eq!(bits(&second.0), bits(&first.0));
        go(&mut second, &[3, 4, 5]);
        assert_eq!(bits(&second.0), bits(&whole.0), "{label}");
        assert_eq!(second.1.optimizer().steps(), 6);
        let last = [&mut second, &mut whole].map(|run| run.1.finish().unwrap().unwrap().loss());
        assert_eq!(last[0], last[1]);
    }
}

/// A file of another model changes nothing; half a step cannot be saved.
#[test]
fn files_that_do_not_fit_change_nothing() {
    let device = Device::host();
    let file = File::new("other");
    let mut random = Generator::new(&device, 1).unwrap();
    let other = Linear::builder(2, 3).build(&mut random).unwrap();
    let step = TrainStep::new(optimizer(&other).unwrap(), random).unwrap();
    step.save(&file.0, &other).unwrap();
    let mut random = Generator::new(&device, 1).unwrap();
    let network = plain(&mut random).unwrap();
    let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
    let mut step = step.accumulate(2).unwrap();
    let [x, y] = batch(&device, 4, 1);
    let run = |step: &mut TrainStep<AdamW>| {
        step.run([&x, &y], |pass, inputs| Ok(loss(&network, pass, inputs)?[0].clone())).unwrap();
    };
    run(&mut step);
    let before = bits(&network);
    assert!(step.resume(&file.0, &network).is_err());
    assert_eq!(bits(&network), before);
    let error = step.save(&file.0, &network).unwrap_err().to_string();
    assert!(error.contains("train_step") && error.contains("1 of 2"), "{error}");
    run(&mut step);
    assert_eq!(step.optimizer().steps(), 1);
    step.save(&file.0, &network).unwrap();
    run(&mut step);
    step.resume(&file.0, &network).unwrap();
    step.save(&file.0, &network).unwrap();
}

/// Epochs that end early; a run that goes on from its file; the best epoch's file.
#[test]
fn fits_end_early_and_go_on() {
    let device = &Device::host();
    let fit = |fit: Fit, scores: &[f64]| {
        let mut random = Generator::new(device, 1).unwrap();
        let network = network(&mut random).unwrap();
        let mut step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
        let mut scores = scores.iter();
        let mut told = 0;
        let epochs = fit.run(
            (&mut step, &network),
            |epoch| Ok((0..3).map(move |i| Ok(batch(device, 5, 10 * epoch + i)))),
            |pass, inputs| Ok(loss(&network, pass, inputs)?[0].clone()),
            || Ok(*scores.next().unwrap()),
            |_| told += 1,
        );
        (epochs.unwrap(), bits(&network), told)
    };
    let best = File::new("best");
    let scores = [3.0, 2.0, 2.5, 1.0, 1.0, 4.0, 0.0];
    let (epochs, whole, told) = fit(Fit::new(9).patience(2).best(&best.0), &scores);
    assert_eq!(
        epochs.iter().map(|e| e.best).collect::<Vec<_>>(),
        [true, true, false, true, false, false]
    );
    assert_eq!((epochs[5].epoch, told), (6, 6));
    assert!(epochs[5].to_string().starts_with("epoch 6: loss "));
    let notes = Checkpoint::notes(&best.0).unwrap();
    assert_eq!(notes.parse::<u64>("epoch").unwrap(), 4);
    // Without any patience it ends after the first that is no better.
    assert_eq!(fit(Fit::new(9).patience(0), &scores).0, epochs[..3]);
    let state = File::new("state");
    let (first, _, _) = fit(Fit::new(2).resumes(&state.0), &scores);
    assert_eq!(first, epochs[..2]);
    let (second, resumed, told) = fit(Fit::new(6).resumes(&state.0), &scores[2..]);
    assert_eq!((second, resumed, told), (epochs, whole, 4));
}

/// A file of a step has no epochs: the fit that shall go on from it says so, and changes nothing.
#[test]
fn a_fit_resumes_from_files_of_fits_alone() {
    let device = Device::host();
    let start = |seed: u64| {
        let mut random = Generator::new(&device, seed).unwrap();
        let network = network(&mut random).unwrap();
        let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
        (network, step)
    };
    let file = File::new("step");
    let (saved, step) = start(1);
    step.save(&file.0, &saved).unwrap();
    let (network, mut step) = start(2);
    let before = bits(&network);
    let inputs = || batch(&device, 5, 0);
    let error = Fit::new(1).resumes(&file.0).run(
        (&mut step, &network),
        |_| Ok([Ok(inputs())]),
        |pass, inputs| Ok(loss(&network, pass, inputs)?[0].clone()),
        || Ok(0.0),
        |_| {},
    );
    assert!(error.unwrap_err().to_string().contains("fit.history"));
    assert_eq!(bits(&network), before);
}

/// A label that no class has, in a replay: that run is as if it had not been, alone or in a step of two.
#[test]
fn a_replay_that_fails_leaves_the_step_usable() {
    let device = Device::host();
    for parts in [1, 2] {
        let run = |bad: bool| {
            let mut random = Generator::new(&device, 3).unwrap();
            let network = network(&mut random).unwrap();
            let step = TrainStep::new(optimizer(&network).unwrap(), random).unwrap();
            let mut step = step.accumulate(parts).unwrap();
            for i in 0..6 {
                let [x, y] = batch(&device, 5, i);
                let mut run = |y: &Tensor| {
                    step.run([&x, y], |pass, inputs| Ok(loss(&network, pass, inputs)?[0].clone()))
                };
                if bad && i > 0 {
                    let wrong = Tensor::from_slice(&device, &[0u32, 1, 7, 1, 2], [5]).unwrap();
                    let error = run(&wrong).unwrap_err().to_string();
                    assert!(error.contains("7 at position 2"), "{error}");
                }
                run(&y).unwrap();
            }
            (bits(&network), step.optimizer().steps(), step.finish().unwrap().unwrap().loss())
        };
        assert_eq!(run(true), run(false), "{parts} parts");
    }
}

/// Two layers under one name can be neither trained nor saved.
#[test]
fn names_that_stand_twice_are_refused() {
    let mut random = Generator::new(&Device::host(), 3).unwrap();
    let norm = || BatchNorm::new(2, &Device::host()).unwrap();
    let linear = Linear::builder(2, 2).build(&mut random).unwrap();
    let twice = Sequential::new().named("a", linear).named("a", norm()).named("a", norm());
    let error = optimizer(&twice).unwrap_err().to_string();
    assert!(error.contains("two parameters are called `a."), "{error}");
    let file = File::new("twice");
    let saved = Checkpoint::new().params(&twice.buffers()).save(&file.0).unwrap_err().to_string();
    assert!(saved.contains("two tensors are called `a.deviation`"), "{saved}");
}
