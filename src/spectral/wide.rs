//! Matrices scaled, laid on their long side and padded, and back.

use super::batch::Batch;
use super::norm::Facts;
use super::plan::{STORED, stored};
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `wide = s x`, transposed where it is tall
pub(super) static TO_WIDE: Kernel =
    Kernel::new("spectral", "to_wide", shader!("spectral/to_wide"), crate::twin!(twin::to_wide))
        .params::<Params>()
        .variants(STORED);

/// `y =` the upper left part of `x`
pub(super) static CROP: Kernel =
    Kernel::new("spectral", "crop", shader!("spectral/crop"), crate::twin!(twin::crop))
        .params::<Params>();

crate::params! {
    pub(super) struct Params {
        entries: u32,
        rows: u32,
        cols: u32,
        m: u32,
        n: u32,
        first: u32,
    }
}

/// All matrices of a batch as `[total, m, n]` of `dtype`, scaled.
pub(super) fn to_wide(batch: &Batch<'_>, facts: &Facts, dtype: DType) -> Result<Tensor> {
    let (m, n) = (batch.m(), batch.n());
    let wide = Tensor::empty(batch.device(), [batch.total(), m, n], dtype)?;
    for (tensor, first) in batch.parts() {
        let launch = batch.device().launch(&TO_WIDE).variant_at(stored(dtype)).params(&params(
            batch,
            [m, n],
            first,
        ));
        let launch = launch.constant("TALL", u32::from(batch.tall()));
        let launch = launch.constant("UNIT", u32::from(facts.unit));
        let launch = launch.bind_next(tensor).bind_next(&facts.facts).bind_next(&wide);
        launch.items_of(batch.entries * m * n / 4, 64).record()?;
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
    let params = Params { entries: total as u32, rows, cols, m, n, first: 0 };
    let launch = x.device().launch(&CROP).params(&params);
    launch.bind_next(x).bind_next(&y).items_of(y.count(), 64).record()?;
    Ok(y)
}

pub(super) fn params(batch: &Batch<'_>, [m, n]: [usize; 2], first: usize) -> Params {
    Params {
        entries: batch.entries as u32,
        rows: batch.rows as u32,
        cols: batch.cols as u32,
        m: m as u32,
        n: n as u32,
        first: first as u32,
    }
}
