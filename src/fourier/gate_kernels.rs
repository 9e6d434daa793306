//! The kernels of the complex gate, and what they compute.

use crate::host::fourier as fast;
use crate::host::{HostArgs, Real};
use crate::kernel;
use crate::kernel::{Cost, CostArgs};
use crate::lif::Surrogate;

kernel! {
    /// All steps of a number, its membranes in registers, and what stands around the gate.
    pub(super) static COMPLEX_GATE = "fourier/complex_gate";
    params = GateParams;
    oracle = complex_gate;
    host = fast::complex_gate;
    cost = |args| cost(args, 10.0);
    mismatch = 1e-3;
    iterations = |args| 2 + u64::from(args.params::<GateParams>().steps);
}

kernel! {
    /// Its gradient.
    pub(super) static COMPLEX_GATE_BACKWARD = "fourier/complex_gate_backward";
    params = GateParams;
    oracle = complex_gate_backward;
    host = fast::complex_gate_backward;
    cost = |args| cost(args, 2.0);
    mismatch = 1e-3;
    iterations = |args| {
        let p: GateParams = args.params();
        u64::from(p.chunk) * (2 * u64::from(p.steps) + 3) + 2
    };
}

crate::params! {
    /// `fourier/gate.wgsl`
    pub(crate) struct GateParams {
        steps: u32,
        columns: u32,
        channels: u32,
        chunk: u32,
        chunks: u32,
        gain: f32,
        threshold: f32,
        alpha: f32,
    }
}

fn cost(args: &CostArgs<'_>, flops: f64) -> Cost {
    let p: GateParams = args.params();
    Cost { bytes: args.all_bytes(), flops: flops * f64::from(p.steps) * f64::from(p.columns) }
}

/// A number: its real and its imaginary part.
type Pair<R> = [R; 2];

/// A launch, as the formulas see it.
struct Gate<'a, R> {
    p: GateParams,
    z: &'a [R],
    /// Weights before shifts, if there are any.
    affine: Option<&'a [R]>,
    scale: Option<R>,
}

impl<'a, R: Real> Gate<'a, R> {
    fn new(args: &HostArgs<'a, R>) -> Self {
        Self {
            p: args.params(),
            z: args.reals("z"),
            affine: args.flag("AFFINE").then(|| args.reals("affine")),
            scale: args.flag("RESIDUAL").then(|| args.reals("scale")[0]),
        }
    }

    /// Where step t of a column stands.
    fn at(&self, t: usize, column: usize) -> usize {
        2 * (t * self.p.columns as usize + column)
    }

    /// Its weights, 1 without.
    fn weights(&self, column: usize) -> Pair<R> {
        let channel = column % self.p.channels as usize;
        self.affine.map_or([R::one(); 2], |affine| pair(affine, 2 * channel))
    }

    /// `u = weight z + shift`, real and imaginary part by themselves.
    fn charge(&self, t: usize, column: usize) -> Pair<R> {
        let z = pair(self.z, self.at(t, column));
        let channels = self.p.channels as usize;
        let Some(affine) = self.affine else { return z };
        let (weight, shift) =
            (self.weights(column), pair(affine, 2 * (channels + column % channels)));
        std::array::from_fn(|k| weight[k] * z[k] + shift[k])
    }

    /// Both membranes in all steps: `h = v + (u - v) / tau`, `v = h (1 - s)`.
    fn membranes(&self, column: usize) -> Vec<Pair<R>> {
        let gain = R::lit(self.p.gain.into());
        let mut v = [R::zero(); 2];
        let step = |t| {
            let u = self.charge(t, column);
            let h: Pair<R> = std::array::from_fn(|k| v[k] + (u[k] - v[k]) * gain);
            let s = self.fires(h);
            v = std::array::from_fn(|k| if s[k] { R::zero() } else { h[k] });
            h
        };
        (0..self.p.steps as usize).map(step).collect()
    }

    fn fires(&self, h: Pair<R>) -> [bool; 2] {
        h.map(|h| h >= R::lit(self.p.threshold.into()))
    }
}

fn pair<R: Real>(of: &[R], at: usize) -> Pair<R> {
    [of[at], of[at + 1]]
}

/// What passes if `open`: nothing else, whatever it is.
fn passed<R: Real>(open: bool, value: Pair<R>) -> Pair<R> {
    value.map(|value| if open { value } else { R::zero() })
}

fn dot<R: Real>(a: Pair<R>, b: Pair<R>) -> R {
    a[0] * b[0] + a[1] * b[1]
}

/// `y = g u`, `g = s_r or s_i`; or `y = base + scale g u`.
fn complex_gate<R: Real>(args: &mut HostArgs<'_, R>) {
    let gate = Gate::new(args);
    let (base, columns) = (args.reals("base"), gate.p.columns as usize);
    let (y, words) = (args.reals_mut("y"), args.words_mut("gate"));
    words.fill(0);
    for column in 0..columns {
        for (t, h) in gate.membranes(column).into_iter().enumerate() {
            let open = gate.fires(h).contains(&true);
            words[t / 32 * columns + column] |= u32::from(open) << (t % 32);
            let at = gate.at(t, column);
            let passed = passed(open, gate.charge(t, column));
            for k in 0..2 {
                y[at + k] = match gate.scale {
                    Some(scale) => base[at + k] + scale * passed[k],
                    None => passed[k],
                };
            }
        }
    }
}

/// The gradient: of the gate as a constant, and with STE through `g = s_r + s_i - s_r s_i` and both
/// membranes. What is summed stands by chunks of rows.
fn complex_gate_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let gate = Gate::new(args);
    let (through, detach) = (args.flag("STE"), args.flag("DETACH"));
    let surrogate = Surrogate::Atan(gate.p.alpha);
    let (words, upstream) = (args.words("gate"), args.reals("upstream"));
    let [columns, channels, chunk] =
        [gate.p.columns, gate.p.channels, gate.p.chunk].map(|v| v as usize);
    let [gain, threshold] = [gate.p.gain, gate.p.threshold].map(|v| R::lit(v.into()));
    let (gz, sums) = (args.reals_mut("gz"), args.reals_mut("sums"));
    sums.fill(R::zero());
    for column in 0..columns {
        let (part, channel) = (column / channels / chunk, column % channels);
        let mut dh = [R::zero(); 2];
        for (t, h) in gate.membranes(column).into_iter().enumerate().rev() {
            let at = gate.at(t, column);
            let open = words[t / 32 * columns + column] >> (t % 32) & 1 == 1;
            let (u, mut g) = (gate.charge(t, column), pair(upstream, at));
            if let Some(scale) = gate.scale {
                sums[part * channels + channel] += if open { dot(g, u) } else { R::zero() };
                g = g.map(|g| g * scale);
            }
            let mut gu = passed(open, g);
            if through {
                let s = gate.fires(h);
                for k in 0..2 {
                    let dv = dh[k] * (R::one() - gain);
                    let by_gate = if s[1 - k] { R::zero() } else { dot(g, u) };
                    let ds = by_gate - if detach { R::zero() } else { h[k] * dv };
                    let kept = if s[k] { R::zero() } else { dv };
                    dh[k] = ds * surrogate.derivative(h[k] - threshold) + kept;
                    gu[k] += dh[k] * gain;
                }
            }
            let weights = gate.weights(column);
            for k in 0..2 {
                gz[at + k] = weights[k] * gu[k];
                if gate.affine.is_some() {
                    let first = 4 * part * channels + 2 * channel + k;
                    sums[first] += gu[k] * gate.z[at + k];
                    sums[first + 2 * channels] += gu[k];
                }
            }
        }
    }
}
