//! The sums that bound the largest eigenvalue.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::reduce::{ROWS, RowTurns, over_rows};
use crate::{DType, Result, Tensor};

/// `(sum |s|, sum s^2)` of each row
pub(super) static GRAM_ROWS: Kernel = Kernel::new(
    "spectral",
    "gram_rows",
    shader!("spectral/gram_rows"),
    crate::twin!(twin::gram_rows),
)
.params::<Params>()
.variants(ROWS)
.turns(|args| {
    let row = RowTurns::of(args, args.params::<Params>().length);
    row.walk() + 2 * row.fold
});

crate::params! {
    pub(super) struct Params {
        count: u32,
        length: u32,
    }
}

/// The sums of each row of symmetric matrices `[batch, m, m]`: `[batch, m, 2]`.
pub(super) fn gram_rows(s: &Tensor, batch: usize, m: usize) -> Result<Tensor> {
    let device = s.device();
    let rows = Tensor::empty(device, [batch, m, 2], DType::F32)?;
    let params = Params { count: (batch * m) as u32, length: m as u32 };
    let launch = over_rows(device, &GRAM_ROWS, &params, [batch * m, m]);
    launch.bind_next(s).bind_next(&rows).record()?;
    Ok(rows)
}
