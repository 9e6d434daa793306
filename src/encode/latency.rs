//! Latency code.

use super::with_steps;
use crate::elementwise::Packed;
use crate::host::{HostArgs, Real, each};
use crate::narrow::positive;
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `s[t, n] = [t = step of x[n]]`
    pub(super) static LATENCY = "encode/latency";
    params = struct LatencyParams { packed: Packed, last: u32, silent: u32, threshold: f32 };
    oracle = latency_oracle;
    iterations = |args| 40 + u64::from(args.params::<LatencyParams>().packed.steps.div_ceil(32));
}

/// Comparisons are made in f32 in both precisions: spikes are the same everywhere.
fn latency_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: LatencyParams = args.params();
    let x = args.reals("x");
    let edges = &args.reals("edges")[..p.last as usize];
    let row = p.packed.row as usize;
    // A NaN is above no edge.
    let step = |v: f32| edges.partition_point(|edge| v <= edge.f32() || v.is_nan());
    let steps: Vec<Option<usize>> =
        x.iter().map(|v| (p.silent == 0 || v.f32() > p.threshold).then(|| step(v.f32()))).collect();
    each(args.words_mut("s"), |w| p.packed.word(w, |e| steps[e % row] == Some(e / row)));
}

/// How [`latency`] turns intensities into spike times.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Latency {
    tau: f32,
    threshold: f32,
    linear: bool,
    silent: bool,
}

impl Default for Latency {
    /// `tau` 5 steps, threshold 0.01, logarithmic, a spike for every input.
    fn default() -> Self {
        Self { tau: 5.0, threshold: 0.01, linear: false, silent: false }
    }
}

impl Latency {
    /// The time constant of the membrane, in steps; for linear codes, the time that passes between
    /// the spikes of intensities 1 and 0.
    pub fn tau(mut self, tau: f32) -> Self {
        self.tau = tau;
        self
    }

    /// The threshold of the membrane: an intensity at or below it never reaches it.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// Spike times that fall linearly with the intensity, `t = tau (1 - I)`.
    pub fn linear(mut self) -> Self {
        self.linear = true;
        self
    }

    /// No spike for intensities at or below the threshold. (By default they spike last.)
    pub fn silent_below_threshold(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The intensity above which the spike comes at step `k` or before: that of the spike time
    /// `k + 1/2`, since times are rounded to the nearest step.
    fn edge(&self, k: usize) -> f32 {
        let periods = (k as f64 + 0.5) / f64::from(self.tau);
        if self.linear {
            return (1.0 - periods) as f32;
        }
        (f64::from(self.threshold) / -libm::expm1(-periods)) as f32
    }
}

/// One spike for each input, the sooner the stronger: the time at which a membrane under the
/// constant current I reaches the threshold θ, `t = tau ln(I / (I - θ))` steps, rounded and limited
/// to `T - 1`; or, linearly, `t = tau (1 - I)`. `[...]` becomes packed spikes `[T, ...]`
/// (Eshraghian et al. 2023, section 3.1, latency coding).
///
/// The formula is inverted on the host: intensities are compared with a table of the `T - 1`
/// intensities that separate the steps, which gives the same spikes on every device.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for no steps, or unless tau and threshold are positive
/// and finite; [`Error::DType`](crate::Error::DType) for other elements than f32; those of
/// [`Tensor::empty`].
pub fn latency(x: &Tensor, steps: usize, options: Latency) -> Result<Tensor> {
    x.expect("latency", DType::F32)?;
    positive("latency", "tau", options.tau)?;
    positive("latency", "threshold", options.threshold)?;
    let s = Tensor::empty(x.device(), with_steps("latency", steps, x.shape())?, DType::Bits)?;
    let last = steps - 1;
    // A binding cannot be empty: a single step has one edge, which is not looked at.
    let edges: Vec<f32> = (0..last.max(1)).map(|k| options.edge(k)).collect();
    let edges = Tensor::from_slice(x.device(), &edges, [edges.len()])?;
    let params = LatencyParams {
        packed: Packed::of(&s),
        last: last as u32,
        silent: u32::from(options.silent),
        threshold: options.threshold,
    };
    let launch = x.device().launch(&LATENCY).params(&params);
    launch.bind("x", x).bind("edges", &edges).bind("s", &s).items(x.count()).record()?;
    Ok(s)
}
