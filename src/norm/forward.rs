//! Rows normalised, and their statistics.

use super::normal::{Normal, Scaled, pivot};
use crate::host::{self, HostArgs, Real, to_middle};
use crate::kernel::{Cost, CostArgs, Needs, Variant};
use crate::reduce::{RowIterations, rows_shared, walked};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `y = (x - mean) / sqrt(variance + eps) gain + bias`
    pub(crate) static NORM_FORWARD = "norm/norm_forward";
    params = struct NormForwardParams {
        rows: u32,
        length: u32,
        eps: f32,
        // The square root of eps.
        root: f32,
    };
    oracle = norm_forward_oracle;
    host = host::norm::norm_forward;
    variants = VARIANTS;
    cost = cost;
    iterations = iterations;
}

const fn variant(name: &'static str, conditions: &'static [&'static str], needs: Needs) -> Variant {
    Variant { name, conditions, needs }
}

/// Those of [`ROWS`](crate::reduce::ROWS), without and with a residual.
const VARIANTS: &[Variant] = &[
    variant("invocation", &[], Needs::NOTHING),
    variant("workgroup", &["WORKGROUP"], Needs::NOTHING),
    variant("subgroups", &["WORKGROUP"], Needs::SUBGROUPS),
    variant("add, invocation", &["ADD"], Needs::NOTHING),
    variant("add, workgroup", &["ADD", "WORKGROUP"], Needs::NOTHING),
    variant("add, subgroups", &["ADD", "WORKGROUP"], Needs::SUBGROUPS),
];

/// Everything moved once; eight operations an element.
fn cost(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.all_bytes(), flops: 8.0 * args.words_of("x") as f64 }
}

/// Four walks over a row, three of them in chains, and three folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let row = RowIterations::of(args, args.params::<NormForwardParams>().length);
    3 * row.chains() + row.walk() + 3 * row.fold
}

fn norm_forward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormForwardParams = args.params();
    let (rms, length) = (args.flag("RMS"), p.length as usize);
    let (x, gain, bias) = (args.reals("x"), args.reals("gain"), args.reals("bias"));
    let (y, stats) = (args.reals_mut("y"), args.reals_mut("stats"));
    let mut add = args.when("ADD").then(|| (args.reals("residual"), args.reals_mut("sum")));
    let (n, half) = (R::lit(f64::from(p.length)), R::lit(0.5));
    let root = R::lit(f64::from(p.eps)).sqrt();
    for (row, y) in y.chunks_exact_mut(length).enumerate() {
        let mut x = x[row * length..][..length].to_vec();
        if let Some((residual, sum)) = &mut add {
            let all = row * length..(row + 1) * length;
            x.iter_mut().zip(&residual[all.clone()]).for_each(|(x, r)| *x += *r);
            sum[all].copy_from_slice(&x);
        }
        // Half a deviation is a number, whatever the row.
        let pivot = pivot(&x, rms);
        let size = x.iter().map(|x| (half * *x - half * pivot).abs()).fold(half * root, R::max);
        let s = to_middle(size);
        let scaled = Scaled::new(pivot, s);
        let mean = |term: &dyn Fn(R) -> R| x.iter().map(|x| term(*x)).sum::<R>() / n;
        let shift = if rms { R::zero() } else { mean(&|x| scaled.deviation(x)) };
        let variance = mean(&|x| (scaled.deviation(x) - shift).powi(2));
        let q = (variance + (root * s) * (root * s)).sqrt().recip();
        stats[3 * row..][..3].copy_from_slice(&[shift, q, s]);
        let normal = Normal { row: scaled, shift, q, s };
        for (i, y) in y.iter_mut().enumerate() {
            *y = normal.at(x[i]) * gain[i];
            if args.flag("BIAS") {
                *y += bias[i];
            }
        }
    }
}

/// A normalisation: what does not change from call to call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) rows: usize,
    pub(super) length: usize,
    pub(super) eps: f32,
    /// Without a mean.
    pub(super) rms: bool,
}

/// The outcome, and what backward needs.
pub(super) struct Normalised {
    pub(super) y: Tensor,
    /// What was normalised: x, or x + residual.
    pub(super) x: Tensor,
    /// For each row the mean, counted from the row's first element, and `1 / sqrt(variance + eps)`, of
    /// the row times the third number: 1, unless its squares would leave the range of f32.
    pub(super) stats: Tensor,
}

/// Normalises the rows of x, or of x + residual.
pub(super) fn forward(
    norm: Norm,
    x: &Tensor,
    residual: Option<&Tensor>,
    gain: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Normalised> {
    let device = x.device();
    let y = Tensor::empty(device, *x.shape(), DType::F32)?;
    let stats = Tensor::empty(device, [norm.rows, 3], DType::F32)?;
    let sum = match residual {
        Some(_) => Tensor::empty(device, *x.shape(), DType::F32)?,
        None => x.clone(),
    };
    if x.count() > 0 {
        let Norm { rows, length, eps, .. } = norm;
        let root = f64::from(eps).sqrt() as f32;
        let params = NormForwardParams { rows: rows as u32, length: length as u32, eps, root };
        let launch = device.launch(&NORM_FORWARD).params(&params);
        let launch = launch.when("ADD", residual.is_some());
        let shared = rows_shared(device, &launch, norm.length);
        let launch = walked(launch, shared, norm.rows)
            .constant("RMS", norm.rms)
            .constant("BIAS", bias.is_some())
            .bind("x", x)
            .bind("gain", gain)
            .bind_if("bias", bias)
            .bind("y", &y)
            .bind("stats", &stats);
        let launch = match residual {
            Some(residual) => launch.bind("residual", residual).bind("sum", &sum),
            None => launch,
        };
        launch.record()?;
    }
    Ok(Normalised { y, x: sum, stats })
}
