//! Sums of gradients.

use super::{CELLS, launch_cells};
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::{Result, Tensor};

crate::kernel! {
    /// `sum[i] += x[i]`
    pub(super) static ACCUMULATE = "elementwise/accumulate";
    params = struct AccumulateParams { cells: u32 };
    oracle = accumulate_oracle;
    variants = CELLS;
    cost = cost;
}

/// The sum is read and written.
fn cost(args: &CostArgs<'_>) -> Cost {
    let count = args.words_of("x") as f64;
    Cost { bytes: 12.0 * count, flops: count }
}

fn accumulate_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals("x");
    for (sum, x) in args.reals_mut("sum").iter_mut().zip(x) {
        *sum += *x;
    }
}

/// `sum + x`, in `sum`'s memory where nobody else holds it.
pub(crate) fn accumulate(sum: Tensor, x: Tensor) -> Result<Tensor> {
    let sum = if sum.is_unshared() { sum } else { sum.duplicate()? };
    let (launch, cells) = launch_cells(sum.device(), &ACCUMULATE, sum.count());
    launch.params(&AccumulateParams { cells }).bind("sum", &sum).bind("x", &x).record()?;
    Ok(sum)
}
