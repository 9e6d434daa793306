//! The forward launch of a recurrence.

use super::decay::{Params, Scan};
use super::plan::{Share, WALKS};
use super::{decay_carry, twin};
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{DType, Result, Shape, Tensor};

/// `h[t] = lam h[t-1] + gain u[t]`
pub(super) static DECAY_SCAN: Kernel =
    Kernel::new("scan", "decay_scan", shader!("scan/decay_scan"), crate::twin!(twin::decay_scan))
        .params::<Params>()
        .variants(WALKS)
        .cost(cost)
        .turns(|args| args.params::<Params>().share.turns(args, 1, 8));

/// Input and output once. What finds the states between chunks (`EMIT` off) is no part of an ideal
/// implementation.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<Params>().share.fraction();
    let moved = (args.words[0] + args.words[3]) as f64 * share + args.words[4] as f64;
    Cost { bytes: moved * 4.0, flops: args.words[0] as f64 * share * 4.0 }
}

/// Whether a launch writes its outputs.
pub(super) fn emits(args: &CostArgs<'_>) -> bool {
    args.constants.iter().all(|c| c.0 != "EMIT" || c.1 != 0.0)
}

/// `h` of every step, and the last.
pub(super) fn run(scan: &Scan, u: &Tensor, initial: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    let device = u.device();
    let cut = &scan.cut;
    let mut starts = if cut.is_chunked() {
        let carry = Tensor::empty(device, [cut.chunks, cut.columns], DType::F32)?;
        let unused = Tensor::empty(device, [1], DType::F32)?;
        walk(scan, cut.whole(), u, None, [&unused, &carry], false)?;
        decay_carry::join(scan, initial, &carry, false)?;
        Some(carry)
    } else {
        initial.cloned()
    };
    let h = Tensor::empty(device, *u.shape(), DType::F32)?;
    let step = Shape::new(&u.shape().dims()[1..])?;
    let mut last = Tensor::empty(device, step, DType::F32)?;
    for (i, share) in cut.forward_shares(1).into_iter().enumerate() {
        if i > 0 {
            starts = Some(std::mem::replace(&mut last, Tensor::empty(device, step, DType::F32)?));
        }
        walk(scan, share, u, starts.as_ref(), [&h, &last], true)?;
    }
    Ok((h, last))
}

fn walk(
    scan: &Scan,
    share: Share,
    u: &Tensor,
    starts: Option<&Tensor>,
    [h, last]: [&Tensor; 2],
    emit: bool,
) -> Result<()> {
    let launch = scan.prepare(scan.cut.walk(u.device(), &DECAY_SCAN), share);
    let launch = launch.constant("TIED", u32::from(scan.tied)).constant("EMIT", u32::from(emit));
    let launch = launch.constant("STATE", u32::from(starts.is_some()));
    let launch = launch.bind_next(u).bind_next(scan.rate(u)).bind_next(starts.unwrap_or(u));
    launch.bind_next(h).bind_next(last).record()
}
