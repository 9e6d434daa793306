//! The gradients of a normalisation.

use super::forward::{Norm, Normalised};
use super::normal::Normal;
use crate::host::parallel::*;
use crate::host::{self, HostArgs, Real};
use crate::kernel::CostArgs;
use crate::reduce::{ROWS, RowIterations, Split, over_rows};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// The gradient of the input.
    pub(crate) static NORM_BACKWARD = "norm/norm_backward";
    params = struct NormBackwardParams {
        rows: u32,
        length: u32,
    };
    oracle = norm_backward_oracle;
    host = host::norm::norm_backward;
    variants = ROWS;
    iterations = iterations;
}

crate::kernel! {
    /// The gradients of gain and bias, in parts.
    pub(super) static NORM_PARAMETERS = "norm/norm_parameters";
    params = struct NormParametersParams {
        rows: u32,
        length: u32,
        splits: u32,
        chunk: u32,
    };
    oracle = norm_parameters_oracle;
    iterations = |args| Split::iterations(args.params::<NormParametersParams>().chunk);
}

/// Three walks over a row, two of them in chains, and three folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let row = RowIterations::of(args, args.params::<NormBackwardParams>().length);
    2 * row.chains() + row.walk() + 3 * row.fold
}

fn norm_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormBackwardParams = args.params();
    let (rms, length) = (args.flag("RMS"), p.length as usize);
    let (x, gain, stats, g) =
        (args.reals("x"), args.reals("gain"), args.reals("stats"), args.reals("g"));
    let n = R::lit(f64::from(p.length));
    for (row, gx) in args.reals_mut("gx").chunks_exact_mut(length).enumerate() {
        let x = &x[row * length..][..length];
        let normal = Normal::new(x, &stats[3 * row..], rms);
        let h = |i: usize| g[row * length + i] * gain[i];
        let mean = |term: &dyn Fn(usize) -> R| (0..length).map(term).sum::<R>() / n;
        let plain = if rms { R::zero() } else { mean(&h) };
        let along = mean(&|i| h(i) * normal.at(x[i]));
        for (i, gx) in gx.iter_mut().enumerate() {
            *gx = normal.q * (h(i) - plain - normal.at(x[i]) * along) * normal.s;
        }
    }
}

fn norm_parameters_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormParametersParams = args.params();
    let (rms, with_bias) = (args.flag("RMS"), args.flag("BIAS"));
    let (x, stats, g) = (args.reals("x"), args.reals("stats"), args.reals("g"));
    let (of_gain, of_bias) = (args.reals_mut("part_gain"), args.reals_mut("part_bias"));
    let (rows, length, chunk) = (p.rows as usize, p.length as usize, p.chunk as usize);
    let piece = |s: usize| (s * chunk..rows.min((s + 1) * chunk)).map(|r| (r, r * length));
    of_gain.par_chunks_mut(length).enumerate().for_each(|(s, sums)| {
        sums.fill(R::zero());
        for (r, at) in piece(s) {
            let (x, g) = (&x[at..][..length], &g[at..][..length]);
            let normal = Normal::new(x, &stats[3 * r..], rms);
            let terms = x.iter().zip(g);
            sums.iter_mut().zip(terms).for_each(|(s, (x, g))| *s += *g * normal.at(*x));
        }
    });
    if with_bias {
        of_bias.par_chunks_mut(length).enumerate().for_each(|(s, sums)| {
            sums.fill(R::zero());
            for (_, at) in piece(s) {
                sums.iter_mut().zip(&g[at..][..length]).for_each(|(s, g)| *s += *g);
            }
        });
    }
}

/// The gradient of what was normalised.
pub(super) fn input(norm: Norm, saved: &Normalised, gain: &Tensor, g: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    if gx.count() > 0 {
        let params = NormBackwardParams { rows: norm.rows as u32, length: norm.length as u32 };
        over_rows(g.device(), &NORM_BACKWARD, &params, [norm.rows, norm.length])
            .constant("RMS", norm.rms)
            .bind("x", &saved.x)
            .bind("gain", gain)
            .bind("stats", &saved.stats)
            .bind("g", g)
            .bind("gx", &gx)
            .record()?;
    }
    Ok(gx)
}

/// The gradients of gain and, if `bias`, of bias.
pub(super) fn parameters(
    norm: Norm,
    saved: &Normalised,
    g: &Tensor,
    bias: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let device = g.device();
    let Norm { rows, length, rms, .. } = norm;
    if g.count() == 0 {
        let zeros = || Tensor::zeros(device, [length], DType::F32);
        return Ok((zeros()?, bias.then(zeros).transpose()?));
    }
    let split = Split::of(device, rows, length);
    let Split { parts: splits, chunk } = split;
    let parts = Tensor::empty(device, [splits, length], DType::F32)?;
    let of_bias = bias.then(|| Tensor::empty(device, [splits, length], DType::F32)).transpose()?;
    let params = NormParametersParams {
        rows: rows as u32,
        length: length as u32,
        splits: splits as u32,
        chunk: chunk as u32,
    };
    device
        .launch(&NORM_PARAMETERS)
        .constant("RMS", rms)
        .constant("BIAS", bias)
        .params(&params)
        .bind("x", &saved.x)
        .bind("stats", &saved.stats)
        .bind("g", g)
        .bind("part_gain", &parts)
        .bind_if("part_bias", of_bias.as_ref())
        .items(splits * length)
        .record()?;
    let of_bias = of_bias.map(|sums| split.total(&sums)).transpose()?;
    Ok((split.total(&parts)?, of_bias))
}
