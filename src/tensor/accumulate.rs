//! Sums of gradients.

use super::Tensor;
use super::items::{BY_FOUR, launch_items};
use crate::Result;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};

crate::kernel! {
    /// `sum[i] += x[i]`
    pub(super) static ACCUMULATE = "tensor/accumulate";
    params = struct AccumulateParams { items: u32 };
    oracle = accumulate_oracle;
    variants = BY_FOUR;
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
    add_to(&sum, &x)?;
    Ok(sum)
}

/// `sum += x`, whoever holds it.
pub(crate) fn add_to(sum: &Tensor, x: &Tensor) -> Result<()> {
    let (launch, items) = launch_items(sum.device(), &ACCUMULATE, sum.count());
    launch.params(&AccumulateParams { items }).bind("sum", sum).bind("x", x).record()
}
