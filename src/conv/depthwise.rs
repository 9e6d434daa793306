//! Channels each by itself.

use super::params::{TapParams, back, check_bias, tap_iterations};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::Split;
use crate::tape::Backward;
use crate::{DType, Error, Result, Tensor, Var, layout};

crate::kernel! {
    /// The convolution, and the gradient of its input.
    pub(super) static DEPTHWISE_CONV = "conv/depthwise_conv";
    params = TapParams;
    oracle = depthwise_conv_oracle;
    cost = cost;
    iterations = tap_iterations;
}

crate::kernel! {
    /// The gradients of taps and bias.
    pub(super) static DEPTHWISE_WEIGHTS = "conv/depthwise_weights";
    params = TapParams;
    oracle = depthwise_weights_oracle;
    cost = cost;
    iterations = |args| Split::iterations(args.params::<TapParams>().chunk);
}

/// Everything moved once, two operations a tap.
fn cost(args: &CostArgs<'_>) -> Cost {
    let p: TapParams = args.params();
    let elements = f64::from(p.steps) * f64::from(p.batch) * f64::from(p.channels);
    Cost { bytes: args.all_bytes(), flops: 2.0 * elements * f64::from(p.taps) }
}

const OP: &str = "depthwise_conv";

impl Var {
    /// A causal convolution of each channel by itself:
    /// `y[t, b, c] = bias[c] + sum_k w[k, c] x[t - (K - 1 - k) dilation, b, c]`, x before the first
    /// step being 0. `x`, `y [T, B, C]`, `w [K, C]`, `bias [C]`. One launch; one backward for the
    /// input, two for taps and bias.
    ///
    /// # Errors
    /// [`Error::Shape`] where these shapes are not met; [`Error::Argument`] without taps, for a
    /// dilation of 0, or taps over more than 2^24 steps; [`Error::DType`] for other elements than
    /// f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn depthwise_conv(&self, w: &Var, bias: Option<&Var>, dilation: usize) -> Result<Var> {
        let (x, taps) = (self.value().clone(), w.value().clone());
        x.same_device(OP, &taps)?;
        taps.expect(OP, DType::F32)?;
        let count = taps.shape().first().copied().unwrap_or(0);
        let p = TapParams::new(OP, &x, count, dilation)?;
        let channels = p.channels as usize;
        if taps.shape().dims() != [count, channels] {
            let detail = format!("taps {}, expected [taps, {channels}]", taps.shape());
            return Err(Error::shape(OP, detail));
        }
        if let Some(bias) = bias {
            check_bias(OP, &x, bias, channels)?;
        }
        let y = run(&p, &x, &taps, bias.map(Var::value), false)?;
        let inputs: Vec<&Var> = [self, w].into_iter().chain(bias).collect();
        let biased = bias.is_some();
        self.tape().record_one(OP, &inputs, y, move |bw| backward(bw, &p, [&x, &taps], biased))
    }
}

fn run(
    p: &TapParams,
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    adjoint: bool,
) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if y.count() > 0 {
        let launch = x.device().launch(&DEPTHWISE_CONV).params(p);
        let launch = launch.constant("ADJOINT", adjoint);
        let launch = launch.constant("BIAS", bias.is_some());
        let launch = launch.bind("x", x).bind("w", w).bind_if("bias", bias).bind("y", &y);
        launch.items(y.count()).record()?;
    }
    Ok(y)
}

fn backward(
    bw: &mut Backward<'_>,
    p: &TapParams,
    [x, w]: [&Tensor; 2],
    biased: bool,
) -> Result<()> {
    let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
    if bw.needs(0) {
        bw.give(0, run(p, &g, w, None, true)?);
    }
    let of_bias = biased && bw.needs(2);
    if !bw.needs(1) && !of_bias {
        return Ok(());
    }
    let (taps, channels) = (p.taps as usize, p.channels as usize);
    let sums = sums(p, x, &g)?;
    if bw.needs(1) {
        bw.give(1, layout::slice(&sums, &[0..taps, 0..channels])?);
    }
    if of_bias {
        let row = layout::slice(&sums, &[taps..taps + 1, 0..channels])?;
        bw.give(2, row.reshape([channels])?);
    }
    Ok(())
}

/// `[K + 1, C]`: the gradients of the taps, then of the bias.
fn sums(p: &TapParams, x: &Tensor, g: &Tensor) -> Result<Tensor> {
    let (chunks, rows, channels) = (p.chunks as usize, p.taps as usize + 1, p.channels as usize);
    if g.count() == 0 {
        return Tensor::zeros(g.device(), [rows, channels], DType::F32);
    }
    let sums = Tensor::empty(g.device(), [chunks, rows, channels], DType::F32)?;
    let launch = g.device().launch(&DEPTHWISE_WEIGHTS).params(p);
    launch.bind("x", x).bind("g", g).bind("sums", &sums).items(sums.count()).record()?;
    let split = Split { parts: chunks, chunk: p.chunk as usize };
    split.total(&sums)?.reshape([rows, channels])
}

fn depthwise_conv_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TapParams = args.params();
    let adjoint = args.flag("ADJOINT");
    let bias = (args.flag("BIAS")).then(|| args.reals("bias"));
    let (steps, channels) = (p.steps as usize, p.channels as usize);
    let row = p.batch as usize * channels;
    let (x, w) = (args.reals("x"), args.reals("w"));
    args.reals_mut("y").par_chunks_mut(row).enumerate().for_each(|(t, y)| {
        for y in y.chunks_exact_mut(channels) {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(R::zero()),
            }
        }
        for (k, w) in w.chunks_exact(channels).enumerate() {
            let distance = back(&p, k);
            let from = if adjoint { t + distance } else { t.wrapping_sub(distance) };
            // What lies before the first step or behind the last is 0.
            if from >= steps {
                continue;
            }
            let x = &x[from * row..][..row];
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                    *y += *w * *x;
                }
            }
        }
    });
}

fn depthwise_weights_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TapParams = args.params();
    let (taps, channels, chunk) = (p.taps as usize, p.channels as usize, p.chunk as usize);
    let (rows, batch) = ((p.steps * p.batch) as usize, p.batch as usize);
    let (x, g) = (args.reals("x"), args.reals("g"));
    let parts = args.reals_mut("sums").par_chunks_mut((taps + 1) * channels).enumerate();
    parts.for_each(|(part, sums)| {
        sums.fill(R::zero());
        for (k, sums) in sums.chunks_exact_mut(channels).enumerate() {
            let distance = if k < taps { back(&p, k) * batch } else { 0 };
            for row in (part * chunk).max(distance)..rows.min((part + 1) * chunk) {
                let g = &g[row * channels..][..channels];
                if k == taps {
                    sums.iter_mut().zip(g).for_each(|(sum, g)| *sum += *g);
                    continue;
                }
                let x = &x[(row - distance) * channels..][..channels];
                for ((sum, g), x) in sums.iter_mut().zip(g).zip(x) {
                    *sum += *g * *x;
                }
            }
        }
    });
}
