//! Many threads on one device, rayon's among them: nothing hangs, nothing is mixed up.

mod common;

use common::{Affine, affine, numbers};
use kernels_tests::{forward, subjects};
use rayon::prelude::*;
use spikegrad::elementwise::Activation;
use spikegrad::nn::Linear;
use spikegrad::random::Generator;
use spikegrad::{Device, Error, HostArgs, Real, Result, Tape, Tensor, kernel};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs `work` on a thread of its own and fails if it takes longer than anything but a hang does.
fn in_time(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, outcome) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        // Nobody listens any more where it took too long.
        let _ = done.send(());
    });
    match outcome.recv_timeout(Duration::from_secs(180)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        _ => thread.join().unwrap(),
    }
}

/// Runs `work` within rayon pools of several sizes.
fn in_pools(what: &'static str, work: fn()) {
    for threads in [2, 4, 8] {
        in_time(what, move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(work);
        });
    }
}

/// Layers wide enough for parallel loops, and their inputs.
fn layers(device: &Device, count: u64) -> Vec<(Linear, Tensor)> {
    let make = |i| {
        let mut random = Generator::new(device, i).unwrap();
        let layer = Linear::builder(128, 128).activation(Activation::Relu);
        (layer.build(&mut random).unwrap(), random.uniform([200, 128]).unwrap())
    };
    (0..count).map(make).collect()
}

fn evaluate((layer, x): &(Linear, Tensor)) -> f32 {
    let tape = Tape::off();
    let y = forward(layer, &tape.constant(x), false).unwrap();
    let z = forward(&layer, &y, false).unwrap();
    z.mean_all().unwrap().value().item().unwrap()
}

#[test]
fn models_are_evaluated_in_par_iter() {
    in_pools("par_iter over launches", || {
        let layers = layers(&Device::host(), 24);
        let expected: Vec<f32> = layers.iter().map(evaluate).collect();
        for round in 0..200 {
            let found: Vec<f32> = layers.par_iter().map(evaluate).collect();
            assert_eq!(found, expected, "round {round}");
        }
    });
}

/// A caller's lock that is held over a call of the crate: work of the caller's that waits for it must
/// not be taken up by the thread that is within the call.
#[test]
fn a_callers_lock_may_be_held_over_a_call() {
    in_pools("a lock held over a call", || {
        let layers = layers(&Device::host(), 4);
        let guarded: Vec<_> = layers.iter().map(Mutex::new).collect();
        for _ in 0..20 {
            (0..64).into_par_iter().for_each(|i| {
                let layer = guarded[i % guarded.len()].lock().unwrap();
                assert!(evaluate(&layer).is_finite());
            });
        }
    });
}

#[test]
fn steps_are_captured_in_par_iter() {
    in_pools("par_iter over captures", || {
        let device = Device::host();
        let layers = layers(&device, 12);
        let expected: Vec<f32> = layers.iter().map(evaluate).collect();
        for round in 0..200 {
            layers.par_iter().zip(&expected).for_each(|((layer, x), expected)| {
                let step = || {
                    let y = forward(layer, &Tape::off().constant(x), false)?;
                    forward(&layer, &y, false)?.mean_all()
                };
                let (outcome, capture) = device.capture(step).unwrap();
                assert_eq!(capture.launches(), launches_of_a_step(), "round {round}");
                capture.replay().unwrap();
                assert_eq!(outcome.value().item().unwrap(), *expected);
            });
        }
    });
}

/// The launches of the step above, by a capture with nobody else about.
fn launches_of_a_step() -> usize {
    static COUNT: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *COUNT.get_or_init(|| {
        let device = Device::host();
        let (layer, x) = layers(&device, 1).remove(0);
        let step = || {
            let y = forward(&layer, &Tape::off().constant(&x), false)?;
            forward(&layer, &y, false)?.mean_all()
        };
        device.capture(step).unwrap().1.launches()
    })
}

#[test]
fn the_shadow_check_runs_in_par_iter() {
    in_pools("par_iter under the shadow check", || {
        let device = Device::host();
        let layers = layers(&device, 8);
        device.shadow(true);
        for _ in 0..20 {
            layers.par_iter().for_each(|l| assert!(evaluate(l).is_finite()));
        }
    });
}

/// A tensor that some threads read while another writes it: whoever comes later waits, and sees one
/// write or the other as a whole.
#[test]
fn readers_and_a_writer_take_turns() {
    in_pools("readers and a writer", || {
        let device = Device::host();
        let (x, ones) = (numbers(&device, 1 << 16), numbers(&device, 1 << 16));
        ones.write(&vec![1.0f32; 1 << 16]).unwrap();
        x.clear().unwrap();
        (0..400).into_par_iter().for_each(|i| {
            if i % 4 == 0 {
                let params = Affine::new(1 << 16, 1.0, i as f32);
                let launch = device.launch(&common::AFFINE).params(&params);
                launch.bind("x", &ones).bind("y", &x).items(1 << 16).record().unwrap();
            } else {
                let values = x.to_vec::<f32>().unwrap();
                assert!(values.iter().all(|v| *v == values[0]));
            }
        });
    });
}

// ---- calls within a twin ----

/// What [`NOSY`]'s twin does while it runs.
type Prank = Box<dyn Fn() + Send + Sync>;
static PRANK: Mutex<Option<std::sync::Arc<Prank>>> = Mutex::new(None);

fn nosy_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let prank = PRANK.lock().unwrap().clone();
    if let Some(prank) = prank {
        prank();
    }
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    y.copy_from_slice(x);
}

kernel! {
    /// `y[i] = x[i]`, by CPU code that calls the crate.
    static NOSY = "tests/nosy" from "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn nosy(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < arrayLength(&x) { y[id.x] = x[id.x]; }
        }";
    oracle = nosy_oracle;
}

fn nosy(x: &Tensor, y: &Tensor) -> Result<()> {
    x.device().launch(&NOSY).bind("x", x).bind("y", y).items(x.count()).record()
}

#[test]
fn calls_within_a_twin_do_not_wait_and_are_in_no_capture() {
    in_time("a twin that calls the crate", || {
        let device = Device::host();
        let (x, y) = (numbers(&device, 64), numbers(&device, 64));
        let calls = std::sync::Arc::new(AtomicUsize::new(0));
        let (counted, reads, writes) = (calls.clone(), y.clone(), x.clone());
        let prank: Prank = Box::new(move || {
            let read = reads.to_vec::<f32>();
            assert!(matches!(read, Err(Error::Busy { .. })), "{read:?}");
            let write = writes.write(&[1.0f32; 64]);
            assert!(matches!(write, Err(Error::Busy { .. })), "{write:?}");
            // What is only read may be read.
            assert_eq!(affine(&writes, 2.0, 0.0).unwrap().to_vec::<f32>().unwrap()[63], 126.0);
            counted.fetch_add(1, Ordering::Relaxed);
        });
        *PRANK.lock().unwrap() = Some(std::sync::Arc::new(prank));
        let ((), capture) = device.capture(|| nosy(&x, &y)).unwrap();
        assert_eq!(capture.kernels(), ["nosy"]);
        capture.replay().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        // A panic within a twin leaves the device and its tensors as usable as before.
        *PRANK.lock().unwrap() = Some(std::sync::Arc::new(Box::new(|| panic!("on purpose"))));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| nosy(&x, &y)));
        assert!(panicked.is_err());
        *PRANK.lock().unwrap() = None;
        y.clear().unwrap();
        nosy(&x, &y).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[63], 63.0);
        assert_eq!(device.capture(|| nosy(&x, &y)).unwrap().1.launches(), 1);
    });
}

/// What a launch costs where there is nothing to compute.
#[test]
fn launches_on_the_host_are_cheap() {
    let device = Device::host();
    let (x, y) = (numbers(&device, 1), numbers(&device, 1));
    let params = Affine::new(1, 1.0, 1.0);
    let time = |_| {
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            let launch = device.launch(&common::AFFINE).params(&params).bind("x", &x).bind("y", &y);
            launch.items(1).record().unwrap();
        }
        start.elapsed() / 1000
    };
    let least = (0..20).map(time).min().unwrap();
    println!("host: {least:?} a launch");
    assert!(least < Duration::from_micros(20));
}

#[test]
fn threads_use_one_device_side_by_side() {
    for subject in subjects() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let x = numbers(&subject.device, 1 << 12);
                    for round in 0..20 {
                        let y = affine(&x, thread as f32, round as f32).unwrap();
                        let last = y.to_vec::<f32>().unwrap()[4095];
                        assert_eq!(last, 4095.0 * thread as f32 + round as f32);
                    }
                });
            }
        });
    }
}
