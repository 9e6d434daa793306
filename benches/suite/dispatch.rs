//! What a launch costs the caller: recording, submitting, replaying.

use crate::harness::Suite;
use cpu_time::ThreadTime;
use spikegrad::{Capture, DType, Device, HostArgs, Real, Result, Tensor, kernel};
use std::time::Instant;

kernel! {
    /// `y[i] = x[i] + 1`: next to nothing to do, so that what is measured is the launch itself.
    static STEP = "dispatch/step" from "
        struct Params { count: u32 }
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @group(1) @binding(0) var<uniform> p: Params;
        @compute @workgroup_size(64)
        fn step(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < p.count { y[id.x] = x[id.x] + 1.0; }
        }";
    params = struct StepParams { count: u32 };
    oracle = step;
}

fn step<R: Real>(args: &mut HostArgs<'_, R>) {
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x + R::one());
}

/// Two buffers that launches go back and forth between, each depending on the one before.
struct PingPong {
    device: Device,
    buffers: [Tensor; 2],
}

const ELEMENTS: usize = 64;

impl PingPong {
    fn new(device: &Device) -> Result<Self> {
        let zeros = || Tensor::zeros(device, [ELEMENTS], DType::F32);
        Ok(Self { device: device.clone(), buffers: [zeros()?, zeros()?] })
    }

    /// Records `launches` launches.
    fn record(&self, launches: usize) -> Result<()> {
        let [a, b] = &self.buffers;
        for i in 0..launches {
            let (x, y) = if i % 2 == 0 { (a, b) } else { (b, a) };
            let params = StepParams { count: ELEMENTS as u32 };
            self.device
                .launch(&STEP)
                .params(&params)
                .bind("x", x)
                .bind("y", y)
                .items(ELEMENTS)
                .record()?;
        }
        Ok(())
    }
}

impl PingPong {
    /// One launch whose output comes from the pool and goes back to it, as a temporary's does.
    fn with_a_new_tensor(&self) -> Result<()> {
        let [x, _] = &self.buffers;
        let y = Tensor::empty(&self.device, [ELEMENTS], DType::F32)?;
        let params = StepParams { count: ELEMENTS as u32 };
        self.device
            .launch(&STEP)
            .params(&params)
            .bind("x", x)
            .bind("y", &y)
            .items(ELEMENTS)
            .record()
    }
}

/// Launches of one measurement: fewer than the stream submits by itself.
const LAUNCHES: usize = 200;

/// The case's name in filters and lists.
const NAME: &str = "dispatch/launch cost";

pub fn measure(suite: &mut Suite) {
    if !suite.wants(NAME) {
        return;
    }
    match costs(suite) {
        Ok(costs) => {
            for (name, microseconds) in costs {
                suite.figure(format!("dispatch: {name}"), microseconds, "us a launch");
            }
        }
        Err(e) => suite.fail(NAME, &e),
    }
}

/// Microseconds a launch, least of the repeats. Recording, submitting and replaying are the CPU time
/// of the calling thread; the device's part is wall time.
fn costs(suite: &Suite) -> Result<Vec<(&'static str, f64)>> {
    let work = PingPong::new(&suite.device)?;
    let device = &suite.device;
    let effort = suite.effort();
    let runs = effort.repeat(|| {
        let (record, ()) = cpu(|| work.record(LAUNCHES))?;
        let (submit, ()) = cpu(|| device.flush())?;
        device.wait()?;
        Ok([record, submit])
    })?;
    let fresh = effort.repeat(|| {
        let (time, ()) = cpu(|| (0..LAUNCHES).try_for_each(|_| work.with_a_new_tensor()))?;
        device.wait()?;
        Ok(time)
    })?;
    let together = effort.repeat(|| {
        let start = Instant::now();
        work.record(LAUNCHES)?;
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() * 1e6 / LAUNCHES as f64)
    })?;
    let apart = effort.repeat(|| {
        let start = Instant::now();
        for _ in 0..20 {
            work.record(1)?;
            device.wait()?;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / 20.0)
    })?;
    let ((), capture) = device.capture(|| work.record(LAUNCHES))?;
    let replays = effort.repeat(|| replay(device, &capture))?;
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    Ok(vec![
        ("record", least(&mut runs.iter().map(|r| r[0]))),
        ("record, output from the pool", least(&mut fresh.into_iter())),
        ("encode and submit", least(&mut runs.iter().map(|r| r[1]))),
        ("replay (encode and submit a capture)", least(&mut replays.into_iter())),
        ("record, submit, wait: 200 in one batch", least(&mut together.into_iter())),
        ("record, submit, wait: one at a time", least(&mut apart.into_iter())),
    ])
}

fn replay(device: &Device, capture: &Capture) -> Result<f64> {
    let (time, ()) = cpu(|| capture.replay())?;
    device.wait()?;
    Ok(time)
}

/// CPU time of this thread, in microseconds a launch.
fn cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = ThreadTime::now();
    let outcome = work()?;
    Ok((start.elapsed().as_secs_f64() * 1e6 / LAUNCHES as f64, outcome))
}
