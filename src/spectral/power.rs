//! The largest singular value.

use super::batch::Batch;
use super::norm::{MatrixStats, Scale};
use super::wide;

use crate::host::{HostArgs, Real};
use crate::linalg::{Layout, matmul};
use crate::reduce::{ROWS, RowIterations, over_rows};
use crate::{DType, Error, Result, Tensor};

const OP: &str = "spectral_norm";

crate::kernel! {
    /// `y = x / ||x||`, and the norms
    pub(super) static UNIT_VECTORS = "spectral/unit_vectors";
    params = struct UnitVectorsParams {
        count: u32,
        length: u32,
    };
    oracle = unit_vectors_oracle;
    variants = ROWS;
    iterations = |args| {
        let row = RowIterations::of(args, args.params::<UnitVectorsParams>().length);
        2 * row.walk() + row.fold
    };
}

/// The largest singular value of each matrix of `[.., rows, cols]`: `[entries]`, by `steps` power
/// iterations `v <- X^T X v / ||X^T X v||` from a fixed start; the outcome is `||X v||`.
///
/// It is never above the true value, and reaches it by a factor `1 - (s2 / s1)^(4 steps)` at the
/// least where the start is not orthogonal to the singular vector: 20 steps are right to a few
/// percent for random matrices, and to rounding where the largest value stands out by 30 %. NaN for a
/// matrix that is not finite. Nothing is read back.
///
/// # Errors
/// [`Error::Argument`] for no steps; [`Error::DType`] unless it is f32.
pub fn spectral_norm(x: &Tensor, steps: usize) -> Result<Tensor> {
    let batch = Batch::new(OP, &[x])?;
    if steps == 0 {
        return Err(Error::argument(OP, "no steps"));
    }
    if batch.total() * batch.count() == 0 {
        return Tensor::zeros(x.device(), [batch.total()], DType::F32);
    }
    let stats = MatrixStats::new(&batch, Scale::ALONE)?;
    let wide = wide::to_wide(&batch, &stats, DType::F32)?;
    let start = Tensor::from_slice(x.device(), &start(batch.m()), [1, batch.m()])?;
    let mut v = matmul(&start, &wide, Layout::NN)?;
    let mut norms = None;
    for _ in 0..steps {
        let (unit, _) = unit_vectors(&v, &stats)?;
        let u = matmul(&unit, &wide, Layout::NT)?;
        let (unit, found) = unit_vectors(&u, &stats)?;
        v = matmul(&unit, &wide, Layout::NN)?;
        norms = Some(found);
    }
    norms.map_or_else(|| Tensor::zeros(x.device(), [batch.total()], DType::F32), Ok)
}

/// Numbers of both signs and of sizes from 1 to 2, without a pattern that data could share.
fn start(count: usize) -> Vec<f32> {
    let hash = |i: usize| (i as u32 + 1).wrapping_mul(0x9E37_79B9);
    let mixed = |i: usize| (hash(i) ^ (hash(i) >> 15)).wrapping_mul(0x85EB_CA6B);
    let number = |bits: u32| 1.0 + (bits >> 9) as f32 / (1 << 23) as f32;
    let signed = |bits: u32| if bits & 1 == 0 { number(bits) } else { -number(bits) };
    (0..count).map(|i| signed(mixed(i) ^ (mixed(i) >> 13))).collect()
}

/// Unit vectors of `[total, 1, length]`, and the norms over the scales of their matrices.
fn unit_vectors(x: &Tensor, stats: &MatrixStats) -> Result<(Tensor, Tensor)> {
    let length = x.shape().last().copied().unwrap_or(1);
    let count = x.count() / length.max(1);
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let norms = Tensor::empty(x.device(), [count], DType::F32)?;
    let params = UnitVectorsParams { count: count as u32, length: length as u32 };
    let launch = over_rows(x.device(), &UNIT_VECTORS, &params, [count, length]);
    launch
        .bind("x", x)
        .bind("stats", &stats.values)
        .bind("y", &y)
        .bind("norms", &norms)
        .record()?;
    Ok((y, norms))
}

/// Unit vectors, and norms in the scale of the matrices.
fn unit_vectors_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnitVectorsParams = args.params();
    let length = p.length as usize;
    let (x, stats) = (args.reals("x"), args.reals("stats"));
    let (y, norms) = (args.reals_mut("y"), args.reals_mut("norms"));
    let all = y.chunks_exact_mut(length).zip(x.chunks_exact(length)).zip(stats.chunks_exact(4));
    for (((y, x), fact), found) in all.zip(norms).take(p.count as usize) {
        let norm = x.iter().map(|v| *v * *v).sum::<R>().sqrt();
        let factor = if norm > R::zero() { norm.recip() } else { R::zero() };
        y.iter_mut().zip(x).for_each(|(y, x)| *y = factor * *x);
        *found = if fact[0] == R::zero() { R::nan() } else { norm / fact[0] };
    }
}
