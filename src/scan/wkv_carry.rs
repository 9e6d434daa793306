//! The launches that join the chunks of a WKV scan.

use super::plan::{Cut, Share};
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{Result, Tensor};

/// Memories at the ends of chunks become those at their starts
pub(super) static WKV_CARRY: Kernel =
    Kernel::new("scan", "wkv_carry", shader!("scan/wkv_carry"), crate::twin!(twin::wkv_carry))
        .params::<Share>()
        .cost(cost)
        .turns(|args| 1 + u64::from(args.params::<Share>().chunks));

/// Gradients at the starts of chunks become those at their ends
pub(super) static WKV_CARRY_BACKWARD: Kernel = Kernel::new(
    "scan",
    "wkv_carry_backward",
    shader!("scan/wkv_carry_backward"),
    crate::twin!(twin::wkv_carry_backward),
)
.params::<Share>()
.cost(cost_backward)
.turns(|args| 1 + u64::from(args.params::<Share>().chunks));

fn cost(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.words[2] as f64 * 8.0, flops: args.words[2] as f64 * 4.0 }
}

fn cost_backward(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.words[1] as f64 * 10.0, flops: args.words[1] as f64 * 6.0 }
}

/// Turns the memories that chunks leave into those they start from, beginning with `state`.
pub(super) fn join(cut: &Cut, w: &Tensor, state: Option<&Tensor>, carry: &Tensor) -> Result<()> {
    let launch = cut.join(carry.device(), &WKV_CARRY).params(&cut.whole());
    let launch = launch.constant("STATE", u32::from(state.is_some()));
    launch.bind_next(state.unwrap_or(w)).bind_next(w).bind_next(carry).record()
}

/// Turns the gradients that chunks leave at their starts into those they begin with at their ends.
pub(super) fn join_backward(cut: &Cut, saved: &Tensor, carry: &Tensor) -> Result<()> {
    let launch = cut.join(carry.device(), &WKV_CARRY_BACKWARD).params(&cut.whole());
    launch.bind_next(saved).bind_next(carry).record()
}
