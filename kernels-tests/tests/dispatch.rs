//! Batches, captures and what a launch costs: long sequences of small launches, whose outcome shows
//! whether each ran once, in order, with its own parameters.

mod common;

use common::{AFFINE, AFFINE_SOURCE, Affine, adapter_device, affine, affine_oracle, numbers};
use kernels_tests::{Subject, subjects};
use spikegrad::{Cost, Device, Error, Result, Tensor, kernel};
use std::time::{Duration, Instant};

/// `y <- factor x + offset` into a tensor that exists already.
fn affine_into(x: &Tensor, y: &Tensor, factor: f32, offset: f32) -> Result<()> {
    let params = Affine::new(x.count(), factor, offset);
    x.device().launch(&AFFINE).params(&params).bind("x", x).bind("y", y).items(x.count()).record()
}

/// `launches` launches back and forth; each subtracts half of what is there and adds its number, so
/// that the order and every parameter show in the outcome.
fn chain(a: &Tensor, b: &Tensor, launches: usize) -> Result<()> {
    for i in 0..launches {
        let (x, y) = if i % 2 == 0 { (a, b) } else { (b, a) };
        affine_into(x, y, -0.5, i as f32)?;
    }
    Ok(())
}

/// The outcome of an even [`chain`], in the same arithmetic: exact in f32 up to a rounding a launch.
fn chained(start: f32, launches: usize) -> f32 {
    (0..launches).fold(start, |x, i| x * -0.5 + i as f32)
}

fn assert_chained(label: &str, found: &Tensor, start: impl Fn(usize) -> f32, launches: usize) {
    for (i, found) in found.to_vec::<f32>().unwrap().into_iter().enumerate() {
        let wanted = chained(start(i), launches);
        assert!((found - wanted).abs() <= wanted.abs() * 1e-5, "{label}: {found}, not {wanted}");
    }
}

#[test]
fn batches_longer_than_one_submission_keep_their_order() {
    for subject in subjects() {
        let (a, b) = (numbers(&subject.device, 16), numbers(&subject.device, 16));
        chain(&a, &b, 1400).unwrap();
        assert_chained(&subject.label, &a, |i| i as f32, 1400);
    }
}

#[test]
fn captures_longer_than_one_submission_replay() {
    for subject in subjects() {
        let device = &subject.device;
        let (a, b) = (numbers(device, 16), numbers(device, 16));
        let ((), capture) = device.capture(|| chain(&a, &b, 700)).unwrap();
        assert_eq!(capture.launches(), 700);
        assert_chained(&subject.label, &a, |i| i as f32, 700);
        a.write(&[3.0f32; 16]).unwrap();
        capture.replay().unwrap();
        assert_chained(&subject.label, &a, |_| 3.0, 700);
    }
}

kernel! {
    /// [`AFFINE`] that claims to be half of what one submission may hold, so that a sequence of it is
    /// submitted in parts, also where it is replayed.
    static HEAVY = "tests/affine" from AFFINE_SOURCE;
    params = Affine;
    oracle = affine_oracle;
    cost = |_| Cost { bytes: 0.0, flops: 1.5e11 };
}

#[test]
fn heavy_sequences_are_submitted_in_parts() {
    for subject in subjects() {
        let device = &subject.device;
        let (a, b) = (numbers(device, 16), numbers(device, 16));
        let steps = || {
            for i in 0..10 {
                let (x, y) = if i % 2 == 0 { (&a, &b) } else { (&b, &a) };
                let params = Affine::new(16, -0.5, i as f32);
                device
                    .launch(&HEAVY)
                    .params(&params)
                    .bind("x", x)
                    .bind("y", y)
                    .items(16)
                    .record()?;
            }
            Ok(())
        };
        let ((), capture) = device.capture(steps).unwrap();
        assert_chained(&subject.label, &a, |i| i as f32, 10);
        a.write(&[3.0f32; 16]).unwrap();
        capture.replay().unwrap();
        assert_chained(&subject.label, &a, |_| 3.0, 10);
    }
}

#[test]
fn threads_capture_side_by_side() {
    for subject in subjects() {
        let device = &subject.device;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let x = numbers(device, 64);
                    let factor = thread as f32 + 1.0;
                    for round in 0..10 {
                        let step =
                            || affine(&affine(&affine(&x, factor, 0.0)?, 1.0, 0.5)?, 1.0, 0.0);
                        let (out, capture) = device.capture(step).unwrap();
                        assert_eq!(capture.launches(), 3);
                        x.write(&[round as f32; 64]).unwrap();
                        capture.replay().unwrap();
                        let wanted = [round as f32 * factor + 0.5; 64];
                        assert_eq!(out.to_vec::<f32>().unwrap(), wanted, "{}", subject.label);
                    }
                });
            }
        });
    }
}

#[test]
fn copies_and_clears_stand_in_order_with_launches() {
    for subject in subjects() {
        let device = &subject.device;
        let (x, y) = (numbers(device, 100), numbers(device, 100));
        let step = || {
            affine_into(&x, &y, 2.0, 0.0)?;
            let doubled = y.duplicate()?;
            y.clear()?;
            affine_into(&y, &x, 1.0, 7.0)?;
            y.copy_from(&doubled)?;
            affine(&y, 1.0, 1.0)
        };
        let (out, capture) = device.capture(step).unwrap();
        for round in 0..3 {
            let base = if round == 0 { 198.0 } else { 2.0 * round as f32 };
            assert_eq!(out.to_vec::<f32>().unwrap()[99], base + 1.0, "{}", subject.label);
            assert_eq!(x.to_vec::<f32>().unwrap()[99], 7.0);
            x.write(&[round as f32 + 1.0; 100]).unwrap();
            capture.replay().unwrap();
        }
    }
}

#[test]
fn a_copy_onto_itself_changes_nothing() {
    for Subject { device, label } in subjects() {
        let x = numbers(device, 6);
        let same = x.reshape([2, 3]).unwrap();
        let step = || {
            let y = affine(&x, 2.0, 1.0)?;
            x.copy_from(&x)?;
            same.copy_from(&x.reshape([2, 3])?)?;
            Ok(y)
        };
        let (y, capture) = device.capture(step).unwrap();
        capture.replay().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[5], 11.0, "{label}");
        assert_eq!(x.to_vec::<f32>().unwrap()[5], 5.0, "{label}");
    }
}

#[test]
fn captures_are_profiled_and_shadowed() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let (a, b) = (numbers(&device, 100), numbers(&device, 100));
        let ((), capture) = device.capture(|| chain(&a, &b, 10)).unwrap();
        let ((), profile) = device.profile(|| capture.replay()).unwrap();
        assert_eq!(profile.launches(), 10);
        device.shadow(true);
        capture.replay().unwrap();
        device.shadow(false);
        let twice = |x: f32| chained(chained(chained(x, 10), 10), 10);
        let found = a.to_vec::<f32>().unwrap();
        let close = |(i, v): (usize, &f32)| (v - twice(i as f32)).abs() < 1e-4;
        assert!(found.iter().enumerate().all(close), "{selection}: {found:?}");
    }
}

#[test]
fn captures_of_one_device_do_not_share_memory() {
    for subject in subjects() {
        let device = &subject.device;
        let x = numbers(device, 64);
        let twice = || affine(&affine(&x, 2.0, 0.0)?, 1.0, 0.5);
        let (one, first) = device.capture(twice).unwrap();
        let (other, second) = device.capture(|| affine(&affine(&x, 3.0, 0.0)?, 1.0, 0.25)).unwrap();
        x.write(&[1.0f32; 64]).unwrap();
        first.replay().unwrap();
        second.replay().unwrap();
        first.replay().unwrap();
        assert_eq!(one.to_vec::<f32>().unwrap(), [2.5; 64], "{}", subject.label);
        assert_eq!(other.to_vec::<f32>().unwrap(), [3.25; 64], "{}", subject.label);
        // The outcome of one outlives it.
        drop(first);
        let noise: Vec<_> = (0..4).map(|_| numbers(device, 64)).collect();
        assert_eq!(one.to_vec::<f32>().unwrap(), [2.5; 64]);
        drop(noise);
    }
}

/// An adapter that takes everything and runs nothing: what is left is the cost of this crate.
fn noop_device() -> Device {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let request = adapter.request_device(&Default::default());
    let (device, queue) = pollster::block_on(request).unwrap();
    Device::from_wgpu(adapter, device, queue).unwrap()
}

/// The least time of several runs of `launches` launches, a launch.
fn least(launches: u32, mut run: impl FnMut() -> Result<()>) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run().unwrap();
        start.elapsed() / launches
    };
    (0..20).map(time).min().unwrap()
}

/// Far above what it should be (a microsecond), so that only a mistake of another order fails: a
/// shader composed, a pipeline or a bind group made for each launch.
const DEAR: Duration = Duration::from_micros(50);

#[test]
fn launches_are_cheap_for_the_caller() {
    let devices = [Some(("noop", noop_device())), adapter_device().map(|d| ("adapter", d))];
    for (label, device) in devices.into_iter().flatten() {
        let (a, b) = (numbers(&device, 64), numbers(&device, 64));
        chain(&a, &b, 2).unwrap();
        device.wait().unwrap();
        let record = least(100, || {
            device.wait()?;
            chain(&a, &b, 100)
        });
        let fresh = least(100, || (0..100).try_for_each(|_| affine(&a, 1.0, 1.0).map(drop)));
        device.wait().unwrap();
        let ((), capture) = device.capture(|| chain(&a, &b, 100)).unwrap();
        let replay = least(100, || capture.replay());
        println!("{label}: record {record:?}, with a new tensor {fresh:?}, replay {replay:?}");
        assert!(record < DEAR && fresh < DEAR && replay < DEAR, "{label}");
        device.wait().unwrap();
    }
}

#[test]
fn nothing_runs_before_it_is_recorded() {
    for subject in subjects() {
        let (x, y) = (numbers(&subject.device, 64), numbers(&subject.device, 64));
        let params = Affine::new(64, 5.0, 5.0);
        let launch = subject.device.launch(&AFFINE).params(&params).bind("x", &x).bind("y", &y);
        let again = launch.clone();
        drop(launch);
        assert_eq!(y.to_vec::<f32>().unwrap()[1], 1.0);
        again.items(64).record().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[1], 10.0);
        let missing = subject.device.compile(&AFFINE, 9, &[]);
        assert!(matches!(missing, Err(Error::Shader { .. })));
    }
}
