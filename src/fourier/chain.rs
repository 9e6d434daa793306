//! The Fourier graph operator with matrices in one launch: three complex layers over rows that stand
//! in workgroup memory.

use super::complex::{numbers_mut, numbers_of};
use super::complex_linear;
use super::shrink::{ShrinkParams, shrunk_both};
use crate::elementwise::each;
use crate::host::{HostArgs, Real, greatest, keep_nan};
use crate::kernel::Cost;
use crate::layout::{concat_tensors, transpose};
use crate::linalg::{Layout, matmul};
use crate::{DType, Result, Tensor, Var, kernel, reduce};
use rustfft::num_complex::Complex;

/// Row by row, layer by layer.
fn mix_dense<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ChainParams = args.params();
    let keep = args.flag("KEEP");
    let (n, threshold) = (p.channels as usize, R::lit(p.threshold.into()));
    let (x, w, b) = (numbers_of(args.reals("x")), args.reals("w"), args.reals("b"));
    let z = numbers_mut(args.reals_mut("z"));
    let mut kept = ["o1", "o2", "o3"].map(|name| numbers_mut(args.reals_mut(name)));
    let mut before = vec![Complex::default(); n];
    for (row, (x, z)) in x.chunks_exact(n).zip(z.chunks_exact_mut(n)).enumerate() {
        before.copy_from_slice(x);
        z.copy_from_slice(x);
        for (layer, kept) in kept.iter_mut().enumerate() {
            let w = &w[2 * layer * n * n..][..2 * n * n];
            let b = &b[2 * layer * n..][..2 * n];
            let after: Vec<Complex<R>> = (0..n).map(|c| outcome(&before, w, b, c)).collect();
            for (z, o) in z.iter_mut().zip(&after) {
                *z += shrunk_both(*o, threshold);
            }
            if keep {
                kept[row * n..][..n].copy_from_slice(&after);
            }
            before = after;
        }
    }
}

/// Channel c of relu(v W + b).
fn outcome<R: Real>(v: &[Complex<R>], w: &[R], b: &[R], c: usize) -> Complex<R> {
    let n = v.len();
    let (re, im) = w.split_at(n * n);
    let start = Complex::new(b[c], b[n + c]);
    let sum = v
        .iter()
        .enumerate()
        .fold(start, |sum, (k, v)| sum + *v * Complex::new(re[k * n + c], im[k * n + c]));
    Complex::new(greatest(sum.re, R::zero()), greatest(sum.im, R::zero()))
}

fn mix_reached<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let (threshold, zero) = (R::lit(p.threshold.into()), R::zero());
    let with_next = args.flag("NEXT");
    let (o, g, next) = (args.reals("o"), args.reals("g"), args.reals("next"));
    each(args.reals_mut("gz"), |i| {
        let direct = if o[i] > threshold { g[i] } else { zero };
        let all = if with_next && o[i] > zero { direct + next[i] } else { direct };
        keep_nan(o[i], all)
    });
}

kernel! {
    /// All three layers of 16 rows in workgroup memory: for hardware.
    pub(super) static MIX_DENSE = "fourier/mix_dense";
    params = ChainParams;
    oracle = mix_dense;
    cost = |args| {
        let p: ChainParams = args.params();
        let (rows, channels) = (f64::from(p.rows), f64::from(p.channels));
        Cost { bytes: args.all_bytes(), flops: 24.0 * rows * channels * channels }
    };
    iterations = |args| 200 + 30 * u64::from(args.params::<ChainParams>().channels);
}

kernel! {
    /// The gradient before a layer's relu.
    pub(super) static MIX_REACHED = "fourier/mix_reached";
    params = ShrinkParams;
    oracle = mix_reached;
}

crate::params! {
    pub(super) struct ChainParams {
        rows: u32,
        channels: u32,
        threshold: f32,
    }
}

/// The rows of a workgroup.
const ROWS: usize = 16;
/// The most channels: of 16 rows of them workgroup memory holds 16 KiB.
const MOST_CHANNELS: usize = 128;

/// Whether the operator on `x [.., E, 2]` runs as one launch.
pub(super) fn fits(x: &Tensor) -> bool {
    let channels = x.shape().dims().iter().rev().nth(1).copied().unwrap_or(0);
    !x.device().tuning().alone && (1..=MOST_CHANNELS).contains(&channels) && x.count() > 0
}

/// What backward reads.
struct Chain {
    x: Tensor,
    weights: [Tensor; 3],
    outcomes: [Tensor; 3],
    channels: usize,
    threshold: f32,
}

/// The operator; shapes were checked.
pub(super) fn run(
    op: &'static str,
    x: &Var,
    weights: [&Var; 3],
    biases: [&Var; 3],
    threshold: f32,
) -> Result<Var> {
    let tape = x.tape();
    let inputs = [x, weights[0], weights[1], weights[2], biases[0], biases[1], biases[2]];
    let keep = inputs.iter().any(|v| v.has_gradient());
    let channels = biases[0].shape().last().copied().unwrap_or(1);
    let room = || Tensor::empty(x.device(), *x.shape(), DType::F32);
    let z = room()?;
    let outcomes = if keep { Some([room()?, room()?, room()?]) } else { None };
    let rows = x.value().count() / (2 * channels);
    let params = ChainParams { rows: rows as u32, channels: channels as u32, threshold };
    let launch = x.device().launch(&MIX_DENSE).params(&params);
    let launch = launch.constant("WG", (2 * channels).next_multiple_of(32) as u32);
    let launch = launch.constant("KEEP", keep).bind("x", x.value());
    let launch = launch.bind("w", &concat_tensors(&weights.map(Var::value), 0)?);
    let launch = launch.bind("b", &concat_tensors(&biases.map(Var::value), 0)?).bind("z", &z);
    let names = ["o1", "o2", "o3"].into_iter().enumerate();
    let launch = names.fold(launch, |launch, (k, name)| {
        launch.bind_if(name, outcomes.as_ref().map(|outcomes| &outcomes[k]))
    });
    launch.workgroups(rows.div_ceil(ROWS)).record()?;
    let weights = weights.map(|w| w.value().clone());
    let x_value = x.value().clone();
    let chain =
        outcomes.map(|outcomes| Chain { x: x_value, weights, outcomes, channels, threshold });
    tape.record_one(op, &inputs, z, move |bw| {
        let (Some(g), Some(chain)) = (bw.upstream(0).cloned(), &chain) else { return Ok(()) };
        let mut next = None;
        for k in [2, 1, 0] {
            let gz = chain.reached(k, &g, next.as_ref())?;
            if bw.needs(1 + k) {
                bw.give(1 + k, chain.weight(k, &gz)?);
            }
            if bw.needs(4 + k) {
                let sums = reduce::sum(&gz, &[0], false)?.reshape([chain.channels, 2])?;
                bw.give(4 + k, transpose(&sums)?);
            }
            next = if k > 0 || bw.needs(0) { Some(chain.back(k, &gz)?) } else { None };
        }
        if let Some(next) = next {
            let shaped = next.reshape(*g.shape())?;
            let sum = crate::elementwise::binary(crate::elementwise::Binary::Add, &g, &shaped)?;
            bw.give(0, sum);
        }
        Ok(())
    })
}

impl Chain {
    fn flat(&self, t: &Tensor) -> Result<Tensor> {
        t.reshape([t.count() / (2 * self.channels), 2 * self.channels])
    }

    /// The gradient before relu of layer k, `[rows, 2 E]`.
    fn reached(&self, k: usize, g: &Tensor, next: Option<&Tensor>) -> Result<Tensor> {
        let gz = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
        let params = ShrinkParams { count: g.count() as u32, threshold: self.threshold };
        let launch = g.device().launch(&MIX_REACHED).params(&params);
        let launch = launch.constant("NEXT", next.is_some()).bind("o", &self.outcomes[k]);
        let launch = launch.bind("g", g).bind_if("next", next).bind("gz", &gz);
        launch.items(g.count()).record()?;
        self.flat(&gz)
    }

    /// The gradient of layer k's weights.
    fn weight(&self, k: usize, gz: &Tensor) -> Result<Tensor> {
        let input = if k == 0 { &self.x } else { &self.outcomes[k - 1] };
        let gm = matmul(&self.flat(input)?, gz, Layout::TN)?;
        complex_linear::gathered(&gm, self.channels, self.channels)
    }

    /// The gradient of layer k's input, `[rows, 2 E]`.
    fn back(&self, k: usize, gz: &Tensor) -> Result<Tensor> {
        let m = complex_linear::blocks(&self.weights[k], self.channels, self.channels)?;
        matmul(gz, &m, Layout::NT)
    }
}
