//! Sums of gradients.

use super::{CELLS, launch_cells, twin};
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{Result, Tensor};

/// `sum[i] += x[i]`
pub(super) static ACCUMULATE: Kernel = Kernel::new(
    "elementwise",
    "accumulate",
    shader!("elementwise/accumulate"),
    crate::twin!(twin::accumulate),
)
.params::<Params>()
.variants(CELLS)
.cost(cost);

crate::params! {
    struct Params {
        cells: u32,
    }
}

/// The sum is read and written.
fn cost(args: &CostArgs<'_>) -> Cost {
    let count = args.words[1] as f64;
    Cost { bytes: 12.0 * count, flops: count }
}

/// `sum + x`, in `sum`'s memory where nobody else holds it.
pub(crate) fn accumulate(sum: Tensor, x: Tensor) -> Result<Tensor> {
    let sum = if sum.is_unshared() { sum } else { sum.duplicate()? };
    let (launch, cells) = launch_cells(sum.device(), &ACCUMULATE, sum.count());
    launch.params(&Params { cells }).bind_next(&sum).bind_next(&x).record()?;
    Ok(sum)
}
