//! Matrices scaled, laid on their long side and padded, and back.

use super::batch::{Batch, TASK};
use super::norm::MatrixStats;
use super::plan::STORED;

use crate::host::parallel::*;
use crate::host::{HostArgs, Real, pack_halves};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `wide = s x`, transposed where it is tall
    pub(super) static TO_WIDE = "spectral/to_wide";
    params = WideParams;
    oracle = to_wide_oracle;
    variants = STORED;
}

crate::kernel! {
    /// `y =` the upper left part of `x`
    pub(super) static CROP = "spectral/crop";
    params = WideParams;
    oracle = crop_oracle;
}

crate::params! {
    pub(super) struct WideParams {
        entries: u32,
        rows: u32,
        cols: u32,
        m: u32,
        n: u32,
        first: u32,
    }
}

/// All matrices of a batch as `[total, m, n]` of `dtype`, scaled.
pub(super) fn to_wide(batch: &Batch<'_>, stats: &MatrixStats, dtype: DType) -> Result<Tensor> {
    let (m, n) = (batch.m(), batch.n());
    let wide = Tensor::empty(batch.device(), [batch.total(), m, n], dtype)?;
    for (tensor, first) in batch.parts() {
        let launch = batch
            .device()
            .launch(&TO_WIDE)
            .when("HALF_OUT", dtype == DType::F16)
            .params(&params(batch, [m, n], first));
        let launch = launch.constant("TALL", batch.tall());
        let launch = launch.constant("UNIT", stats.unit);
        let launch = launch.bind("x", tensor).bind("stats", &stats.values).bind("wide", &wide);
        launch.items(batch.entries * m * n / 4).record()?;
    }
    Ok(wide)
}

/// The upper left `extent x extent` of square matrices `[total, m, m]`.
pub(super) fn corner(x: &Tensor, extent: usize) -> Result<Tensor> {
    let (total, m) = (x.shape()[0], x.shape()[1]);
    if m == extent {
        return Ok(x.clone());
    }
    let y = Tensor::empty(x.device(), [total, extent, extent], DType::F32)?;
    let [rows, cols] = [extent as u32; 2];
    let [m, n] = [m as u32; 2];
    let params = WideParams { entries: total as u32, rows, cols, m, n, first: 0 };
    let launch = x.device().launch(&CROP).params(&params);
    launch.bind("x", x).bind("y", &y).items(y.count()).record()?;
    Ok(y)
}

pub(super) fn params(batch: &Batch<'_>, [m, n]: [usize; 2], first: usize) -> WideParams {
    WideParams {
        entries: batch.entries as u32,
        rows: batch.rows as u32,
        cols: batch.cols as u32,
        m: m as u32,
        n: n as u32,
        first: first as u32,
    }
}

/// Scaled, lying on the long side, padded.
fn to_wide_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let (tall, unit) = (args.flag("TALL"), args.flag("UNIT"));
    let (x, stats) = (args.reals("x"), args.reals("stats"));
    let first = p.first as usize;
    let count = p.entries as usize * m * n;
    let mut halves = Vec::new();
    let wide = if args.is_real("wide") {
        &mut args.reals_mut("wide")[first * m * n..][..count]
    } else {
        halves.resize(count, R::zero());
        &mut halves
    };
    let step = (TASK / n).max(1);
    let row_of = |i: usize, line: &mut [R]| {
        let (e, row) = (i / m, i % m);
        let enter = stats[4 * (first + e)];
        let rest = if unit { stats[4 * (first + e) + 3] } else { R::one() };
        let x = &x[e * rows * cols..][..rows * cols];
        line.fill(R::zero());
        let (short, long) = if tall { (cols, rows) } else { (rows, cols) };
        if row >= short || enter == R::zero() {
            return;
        }
        if tall {
            let column = x[row..].iter().step_by(cols).take(long);
            line.iter_mut().zip(column).for_each(|(y, x)| *y = (enter * *x) * rest);
        } else {
            let row = &x[row * cols..][..long];
            line.iter_mut().zip(row).for_each(|(y, x)| *y = (enter * *x) * rest);
        }
    };
    wide.par_chunks_mut(step * n).enumerate().for_each(|(task, lines)| {
        for (i, line) in lines.chunks_exact_mut(n).enumerate() {
            row_of(task * step + i, line);
        }
    });
    if !args.is_real("wide") && !halves.is_empty() {
        pack_halves(&halves, &mut args.words_mut("wide")[first * m * n / 2..][..count / 2]);
    }
}

/// The upper left part of each matrix.
fn crop_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let x = args.reals("x");
    let y = &mut args.reals_mut("y")[..p.entries as usize * rows * cols];
    for (i, line) in y.chunks_exact_mut(cols).enumerate() {
        let x = &x[(p.first as usize + i / rows) * m * n..][..m * n];
        line.copy_from_slice(&x[i % rows * n..][..cols]);
    }
}
