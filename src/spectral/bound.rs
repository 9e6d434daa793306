//! The sums that bound the largest eigenvalue.

use super::batch::TASK;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, sum_of, vectorised};
use crate::reduce::{ROWS, RowIterations, over_rows};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `(sum |s|, sum s^2)` of each row
    pub(super) static GRAM_ROWS = "spectral/gram_rows";
    params = struct GramRowsParams {
        count: u32,
        length: u32,
    };
    oracle = gram_rows_oracle;
    variants = ROWS;
    iterations = |args| {
        let row = RowIterations::of(args, args.params::<GramRowsParams>().length);
        row.walk() + 2 * row.fold
    };
}

/// The sums of each row of symmetric matrices `[batch, m, m]`: `[batch, m, 2]`.
pub(super) fn gram_rows(s: &Tensor, batch: usize, m: usize) -> Result<Tensor> {
    let device = s.device();
    let rows = Tensor::empty(device, [batch, m, 2], DType::F32)?;
    let params = GramRowsParams { count: (batch * m) as u32, length: m as u32 };
    let launch = over_rows(device, &GRAM_ROWS, &params, [batch * m, m]);
    launch.bind("s", s).bind("rows", &rows).record()?;
    Ok(rows)
}

/// The sums of each row.
fn gram_rows_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: GramRowsParams = args.params();
    let length = p.length as usize;
    let s = args.reals("s");
    let rows = &mut args.reals_mut("rows")[..2 * p.count as usize];
    let least = TASK.div_ceil(length);
    let pairs = rows.par_chunks_exact_mut(2).zip(s.par_chunks_exact(length)).at_least(least);
    pairs.for_each(|(pair, row)| {
        vectorised(
            #[inline(always)]
            || {
                pair[0] = sum_of(row, |v| v.abs());
                pair[1] = sum_of(row, |v| v * v);
            },
        );
    });
}
