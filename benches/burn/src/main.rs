//! One training step of a linear layer followed by a LIF neuron, written as a user of burn would
//! write it: a loop over time of tensor operations, a surrogate gradient by the detach trick, and
//! burn's autodiff. It is the baseline that the fused kernels are compared with.
//!
//! A step is the forward pass, the backward pass and the read-back of the gradient of `W`, with the
//! device synchronised at its end. Inputs and weights are uploaded before the first step. The model,
//! for input `x` of shape `[T, B, N]`:
//!
//! ```text
//! i = x W
//! u[t] = decay (u[t-1] - theta s[t-1]) + i[t]    (soft reset, part of the graph)
//! s[t] = [u[t] >= theta]                         (backward: derivative of sigmoid(4 (u - theta)))
//! loss = mean over (b, n) of (mean over t of s - 0.2)^2
//! ```

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use burn::tensor::{Device, DeviceKind, Tensor, TensorData, activation::sigmoid};
use cubecl_runtime::logging::{LaunchObservation, LaunchObserver};
use lexopt::{Arg, ValueExt};

const DECAY: f32 = 0.9;
const THETA: f32 = 1.0;
const SLOPE: f32 = 4.0;
const TARGET_RATE: f32 = 0.2;
const WARMUP_STEPS: usize = 3;

const USAGE: &str = "\
burn-step [--t 64] [--b 32] [--n 256] [--steps 5] [--device cpu|default]

  --t, --b, --n   time steps, batch, features
  --steps         timed steps, after 3 that are not timed
  --device        cpu: the software adapter; default: the best GPU wgpu finds";

fn main() -> Result<(), Box<dyn Error>> {
    let Some(args) = Args::parse()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let device = Device::wgpu(args.device.clone()).autodiff();
    let problem = Problem::new(&args, &device);

    let started = Instant::now();
    problem.step()?;
    let first_ms = millis(started);
    for _ in 1..WARMUP_STEPS {
        problem.step()?;
    }

    let mut ms = Vec::with_capacity(args.steps);
    for _ in 0..args.steps {
        let started = Instant::now();
        problem.step()?;
        ms.push(millis(started));
    }

    // A step of its own, so that counting costs the timed steps nothing.
    let launches = count_launches(|| problem.step())?;
    let outcome = problem.step()?;

    let mut sorted = ms.clone();
    sorted.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "program": "burn",
        "t": args.t,
        "b": args.b,
        "n": args.n,
        "ms": ms,
        "median_ms": median(&sorted),
        "min_ms": sorted[0],
        "launches": launches,
        "first_ms": first_ms,
        "loss": outcome.loss.into_scalar::<f32>(),
        "grad_norm": norm(&outcome.grad),
        "adapter": device.identity().map(|identity| identity.name),
    });
    println!("{line}");
    Ok(())
}

struct Args {
    t: usize,
    b: usize,
    n: usize,
    steps: usize,
    device: DeviceKind,
}

impl Args {
    /// The arguments, or `None` where help was asked for.
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut args = Self {
            t: 64,
            b: 32,
            n: 256,
            steps: 5,
            device: DeviceKind::Cpu,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("t") => args.t = positive(&mut parser)?,
                Arg::Long("b") => args.b = positive(&mut parser)?,
                Arg::Long("n") => args.n = positive(&mut parser)?,
                Arg::Long("steps") => args.steps = positive(&mut parser)?,
                Arg::Long("device") => {
                    args.device = match parser.value()?.string()?.as_str() {
                        "cpu" => DeviceKind::Cpu,
                        "default" => DeviceKind::DefaultDevice,
                        other => return Err(format!("unknown device {other:?}").into()),
                    }
                }
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(args))
    }
}

fn positive(parser: &mut lexopt::Parser) -> Result<usize, lexopt::Error> {
    parser
        .value()?
        .parse_with(|text| match text.parse::<usize>() {
            Ok(0) => Err("must be at least 1".to_owned()),
            Ok(value) => Ok(value),
            Err(error) => Err(error.to_string()),
        })
}

struct Problem {
    device: Device,
    shape: [usize; 3],
    /// Input spikes, `[T * B, N]`: a fifth of them ones.
    x: Tensor<2>,
    /// `[N, N]`, uniform in ±1.5 / sqrt(N), which lets the layer fire without saturating it.
    w: Tensor<2>,
}

struct Outcome {
    loss: Tensor<1>,
    grad: Vec<f32>,
}

impl Problem {
    fn new(args: &Args, device: &Device) -> Self {
        let Args { t, b, n, .. } = *args;
        let mut uniform = xorshift(0x9E37_79B9_7F4A_7C15);
        let x = (0..t * b * n).map(|_| f32::from(uniform() < 0.2)).collect();
        let bound = 1.5 / (n as f32).sqrt();
        let w = (0..n * n)
            .map(|_| (2.0 * uniform() - 1.0) * bound)
            .collect();
        Self {
            device: device.clone(),
            shape: [t, b, n],
            x: upload(x, [t * b, n], device),
            w: upload(w, [n, n], device).require_grad(),
        }
    }

    fn step(&self) -> Result<Outcome, Box<dyn Error>> {
        let loss = self.loss();
        let grads = loss.backward();
        let grad = self.w.grad(&grads).ok_or("W got no gradient")?;
        let grad = grad.into_data().try_to_vec::<f32>()?;
        self.device.sync()?;
        Ok(Outcome { loss, grad })
    }

    fn loss(&self) -> Tensor<1> {
        let [t, b, n] = self.shape;
        let current = self.x.clone().matmul(self.w.clone()).reshape([t, b, n]);
        let mut u = Tensor::<2>::zeros([b, n], &self.device);
        let mut s = Tensor::<2>::zeros([b, n], &self.device);
        let mut spikes = Vec::with_capacity(t);
        for k in 0..t {
            let input = current
                .clone()
                .slice([k..k + 1, 0..b, 0..n])
                .reshape([b, n]);
            u = u.mul_scalar(DECAY) + input - s.mul_scalar(DECAY * THETA);
            s = fire(u.clone().sub_scalar(THETA));
            spikes.push(s.clone());
        }
        let rate = Tensor::stack::<3>(spikes, 0).mean_dim(0);
        rate.sub_scalar(TARGET_RATE).square().mean()
    }
}

/// Heaviside forward, the derivative of `sigmoid(SLOPE * v)` backward.
fn fire(v: Tensor<2>) -> Tensor<2> {
    let hard = v.clone().detach().greater_equal_elem(0.0).float();
    let soft = sigmoid(v.mul_scalar(SLOPE));
    soft.clone() - soft.detach() + hard
}

/// The kernels that one call of `step` launches, from the runtime's own hook, which runs on the
/// issuing thread for each launch. The same number comes from a `cubecl.toml` with
/// `[profiling] logger = { level = "minimal", stdout = true }`, one line a launch.
fn count_launches<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<u64, E> {
    #[derive(Default)]
    struct Counter(AtomicU64);

    impl LaunchObserver for Counter {
        fn launched(&self, _kernel: &'static str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let counter = Arc::new(Counter::default());
    let observation = LaunchObservation::new(counter.clone());
    step()?;
    drop(observation);
    Ok(counter.0.load(Ordering::Relaxed))
}

fn upload(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Uniform in [0, 1), the same on every machine.
fn xorshift(mut state: u64) -> impl FnMut() -> f32 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

/// Milliseconds, to the microsecond.
fn millis(since: Instant) -> f64 {
    since.elapsed().as_micros() as f64 / 1e3
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        (sorted[half - 1] + sorted[half]) / 2.0
    }
}

fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt()
}
