//! The launch that joins the chunks of a recurrence.

use super::decay::{Params, Scan};
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{Result, Tensor};

/// `x[i] = lam^length x[i-1] + left[i-1]`
pub(super) static DECAY_CARRY: Kernel = Kernel::new(
    "scan",
    "decay_carry",
    shader!("scan/decay_carry"),
    crate::twin!(twin::decay_carry),
)
.params::<Params>()
.cost(cost)
.turns(|args| 20 + 3 * u64::from(args.params::<Params>().share.chunks));

/// Chunks are no part of an ideal implementation; reading and writing their states is.
fn cost(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.words[2] as f64 * 8.0, flops: args.words[2] as f64 * 2.0 }
}

/// Turns what the chunks leave into what they start from, beginning with `initial`; from the last
/// chunk to the first if `reverse`.
pub(super) fn join(
    scan: &Scan,
    initial: Option<&Tensor>,
    carry: &Tensor,
    reverse: bool,
) -> Result<()> {
    let launch = scan.prepare(scan.cut.join(carry.device(), &DECAY_CARRY), scan.cut.whole());
    let launch = launch.constant("STATE", u32::from(initial.is_some()));
    let launch = launch.constant("REVERSE", u32::from(reverse));
    // A binding that is not read must still not be the one that is written.
    let any = scan.rate.as_ref();
    let unused;
    let any = match initial.or(any) {
        Some(tensor) => tensor,
        None => {
            unused = Tensor::empty(carry.device(), [1], crate::DType::F32)?;
            &unused
        }
    };
    launch.bind_next(initial.unwrap_or(any)).bind_next(scan.rate(any)).bind_next(carry).record()
}
