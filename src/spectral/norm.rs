//! What must be known of each matrix first: largest element, Frobenius norm, whether it is finite.

use super::batch::Batch;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, sum_of, to_one, vectorised};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::{ROWS, RowIterations, over_rows};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `(max |x|, sum of squares, fault)` of each chunk
    pub(super) static NORM_PARTS = "spectral/norm_parts";
    params = struct NormPartsParams {
        count: u32,
        chunk: u32,
        chunks: u32,
        entries: u32,
        first: u32,
    };
    oracle = norm_parts_oracle;
    variants = ROWS;
    cost = parts_cost;
    iterations = |args| {
        let chunk = RowIterations::of(args, args.params::<NormPartsParams>().chunk);
        chunk.walk() + chunk.chains() + 3 * chunk.fold
    };
}

crate::kernel! {
    /// `(s, ||s x||, s c, c)` of each matrix
    pub(super) static MATRIX_SCALE = "spectral/matrix_scale";
    params = struct MatrixScaleParams {
        entries: u32,
        chunks: u32,
        radius: f32,
        margin: f32,
        eps: f32,
    };
    oracle = matrix_scale_oracle;
    iterations = |args| 2 + 2 * u64::from(args.params::<MatrixScaleParams>().chunks);
}

/// Every element is read once.
fn parts_cost(args: &CostArgs<'_>) -> Cost {
    let p: NormPartsParams = args.params();
    let count = f64::from(p.count) * f64::from(p.entries);
    Cost { bytes: 4.0 * count, flops: 3.0 * count }
}

/// The most chunks of a matrix: one invocation folds them.
const MOST_CHUNKS: usize = 64;
/// The fewest elements worth a chunk.
const LEAST_CHUNK: usize = 4096;

/// How a matrix is scaled before anything is computed from it: always by the power of two s that brings
/// its largest element to [1, 2), so that nothing leaves the range, whatever the scale of the matrix.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale<'a> {
    /// That alone; c is the radius times the element of the tensor.
    Own(f32, Option<&'a Tensor>),
    /// Then to the Frobenius norm `1 / margin`, or what `||x|| / (margin ||x|| + eps)` is of x as it was.
    Unit { margin: f32, eps: f32 },
}

impl Scale<'_> {
    /// That alone, where there is no radius.
    pub(super) const ALONE: Self = Self::Own(0.0, None);
}

/// What is known of each matrix of a batch.
#[derive(Debug)]
pub(super) struct MatrixStats {
    /// `[total, 4]`: (s, ||s x||, s c, c), or with [`Scale::Unit`] (s, ||s x||, .., what else x is
    /// multiplied with).
    pub(super) values: Tensor,
    /// `[total]`: 1 where an element is not finite.
    pub(super) flags: Tensor,
    /// Whether matrices are scaled to a norm.
    pub(super) unit: bool,
}

impl MatrixStats {
    pub(super) fn new(batch: &Batch<'_>, scale: Scale<'_>) -> Result<Self> {
        let device = batch.device();
        let chunk = batch.count().div_ceil(MOST_CHUNKS).max(LEAST_CHUNK);
        let chunks = batch.count().div_ceil(chunk).max(1);
        let parts = Tensor::empty(device, [batch.total(), chunks, 4], DType::F32)?;
        for (tensor, first) in batch.parts() {
            let params = NormPartsParams {
                count: batch.count() as u32,
                chunk: chunk as u32,
                chunks: chunks as u32,
                entries: batch.entries as u32,
                first: first as u32,
            };
            let launch = over_rows(device, &NORM_PARTS, &params, [batch.entries * chunks, chunk]);
            launch.bind("x", tensor).bind("parts", &parts).record()?;
        }
        let stats = Tensor::empty(device, [batch.total(), 4], DType::F32)?;
        let flags = Tensor::empty(device, [batch.total()], DType::F32)?;
        let (unit, radius, factor, [margin, eps]) = match scale {
            Scale::Own(radius, factor) => (false, radius, factor, [0.0; 2]),
            Scale::Unit { margin, eps } => (true, 0.0, None, [margin, eps]),
        };
        let (entries, chunks) = (batch.total() as u32, chunks as u32);
        let params = MatrixScaleParams { entries, chunks, radius, margin, eps };
        let launch = device.launch(&MATRIX_SCALE).params(&params);
        let launch = launch.constant("UNIT", unit).constant("DYNAMIC", factor.is_some());
        let launch = launch.bind("parts", &parts).bind_if("factor", factor);
        launch.bind("stats", &stats).bind("flags", &flags).items(batch.total()).record()?;
        Ok(Self { values: stats, flags, unit })
    }
}

/// Elements that are compared side by side.
const LANES: usize = 16;

/// The largest of the finite elements by magnitude, and whether all are finite.
#[inline(always)]
fn largest_finite<R: Real>(x: &[R]) -> (R, bool) {
    let (mut lanes, mut sound) = ([R::zero(); LANES], [true; LANES]);
    for row in x.chunks(LANES) {
        for ((lane, sound), v) in lanes.iter_mut().zip(&mut sound).zip(row) {
            let (size, finite) = (v.abs(), v.is_finite());
            *sound &= finite;
            *lane = if finite && size > *lane { size } else { *lane };
        }
    }
    let largest = lanes.into_iter().fold(R::zero(), |m, v| if v > m { v } else { m });
    (largest, sound.into_iter().all(|s| s))
}

/// Largest element, sum of scaled squares and fault of each chunk.
fn norm_parts_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormPartsParams = args.params();
    let [count, chunk, chunks] = [p.count, p.chunk, p.chunks].map(|v| v as usize);
    let x = args.reals("x");
    let parts = &mut args.reals_mut("parts")[4 * p.first as usize * chunks..];
    let parts = &mut parts[..4 * p.entries as usize * chunks];
    let of_chunk = |(row, part): (usize, &mut [R])| {
        let (entry, k) = (row / chunks, row % chunks);
        let x = &x[entry * count..][k * chunk..count.min((k + 1) * chunk)];
        let (mut largest, mut finite, mut sum) = (R::zero(), true, R::zero());
        vectorised(
            #[inline(always)]
            || {
                (largest, finite) = largest_finite(x);
                let scale = to_one(largest);
                sum = sum_of(x, |v| (v * scale) * (v * scale));
            },
        );
        let fault = if finite { R::zero() } else { R::one() };
        part.copy_from_slice(&[largest, sum, fault, R::zero()]);
    };
    parts.par_chunks_exact_mut(4).enumerate().for_each(of_chunk);
}

/// Beside a radius that is so much larger nothing is clipped.
const MOST_RADIUS: f64 = (1u64 << 40) as f64;

/// Scale, norm and radius of each matrix.
fn matrix_scale_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MatrixScaleParams = args.params();
    let (unit, dynamic) = (args.flag("UNIT"), args.flag("DYNAMIC"));
    let (parts, factor) = (args.reals("parts"), args.reals("factor"));
    let (stats, flags) = (args.reals_mut("stats"), args.reals_mut("flags"));
    let [radius, margin, eps] = [p.radius, p.margin, p.eps].map(|v| R::lit(f64::from(v)));
    let c = if dynamic { radius * factor[0] } else { radius };
    let all = stats.chunks_exact_mut(4).zip(flags).zip(parts.chunks_exact(4 * p.chunks as usize));
    for ((fact, flag), parts) in all.take(p.entries as usize) {
        let parts = || parts.chunks_exact(4);
        let largest = parts().map(|part| part[0]).fold(R::zero(), R::max);
        *flag = parts().map(|part| part[2]).fold(R::zero(), R::max);
        let s = to_one(largest);
        let ratio = |part: &[R]| s / to_one(part[0]);
        let norm = parts().map(|part| part[1] * ratio(part).powi(2)).sum::<R>().sqrt();
        let most = R::lit(MOST_RADIUS);
        let wide = if s > R::one() { c > most / s } else { s * c > most };
        let (radius, c) = if wide { (most, most / s) } else { (s * c, c) };
        let last = match unit {
            false => c,
            true if norm > R::zero() => (margin * norm + s * eps).recip(),
            true => R::zero(),
        };
        let s = if *flag == R::zero() { s } else { R::zero() };
        fact.copy_from_slice(&[s, norm, radius, last]);
    }
}
