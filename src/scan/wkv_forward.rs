//! The forward launch of WKV.

use super::decay_forward::emits;
use super::plan::{Cut, Share, WALKS};
use super::wkv::{EVERY, state_shape};
use super::{twin, wkv_carry};
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{DType, Result, Tensor};

/// `y[t]`, the weighted average of the values so far
pub(super) static WKV: Kernel =
    Kernel::new("scan", "wkv", shader!("scan/wkv"), crate::twin!(twin::wkv))
        .params::<Share>()
        .variants(WALKS)
        .cost(cost)
        .turns(|args| args.params::<Share>().turns(args, 1 + LOOPS as u64, LOOPS as u64));

/// Iterations of the shader's loops for eight steps where keys lie far apart.
const LOOPS: usize = 9;

/// Keys, values and averages once, and what is saved. What finds the memories between chunks is no
/// part of an ideal implementation.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let saved = args.constants.iter().any(|c| c.0 == "SAVE" && c.1 != 0.0);
    let share = args.params::<Share>().fraction();
    let mut moved = args.words[0] + args.words[1] + args.words[5];
    moved += if saved { args.words[6] } else { 0 };
    let bytes = (moved as f64 * share + args.words[7] as f64) * 4.0;
    // An exponential counts as eight operations.
    Cost { bytes, flops: args.words[0] as f64 * share * 32.0 }
}

/// What the forward launches wrote.
pub(super) struct Forward {
    pub(super) y: Tensor,
    pub(super) last: Tensor,
    pub(super) saved: Option<Tensor>,
}

/// What a launch reads besides k, v, w and u, and what it writes.
struct Bindings<'a> {
    starts: Option<&'a Tensor>,
    y: &'a Tensor,
    saved: Option<&'a Tensor>,
    last: &'a Tensor,
    emit: bool,
}

/// Runs the scan; `keep` says whether backward will follow.
pub(super) fn run(
    cut: &Cut,
    inputs: [&Tensor; 4],
    state: Option<&Tensor>,
    keep: bool,
) -> Result<Forward> {
    let [k, _, w, _] = inputs;
    let device = k.device();
    let step = &k.shape().dims()[1..];
    let mut starts = if cut.is_chunked() {
        let carry = Tensor::empty(device, [cut.chunks, 3, cut.columns], DType::F32)?;
        let y = &Tensor::empty(device, [1], DType::F32)?;
        let to = Bindings { starts: None, y, saved: None, last: &carry, emit: false };
        walk(cut, cut.whole(), inputs, &to)?;
        wkv_carry::join(cut, w, state, &carry)?;
        Some(carry)
    } else {
        state.cloned()
    };
    let y = Tensor::empty(device, *k.shape(), DType::F32)?;
    let shape = state_shape(step)?;
    let mut last = Tensor::empty(device, shape, DType::F32)?;
    let saved = if keep {
        let rows = 3 * cut.steps.div_ceil(EVERY) + 2;
        Some(Tensor::empty(device, [rows, cut.columns], DType::F32)?)
    } else {
        None
    };
    for (i, share) in cut.forward_shares(LOOPS).into_iter().enumerate() {
        if i > 0 {
            starts = Some(std::mem::replace(&mut last, Tensor::empty(device, shape, DType::F32)?));
        }
        let (starts, saved) = (starts.as_ref(), saved.as_ref());
        let to = Bindings { starts, y: &y, saved, last: &last, emit: true };
        walk(cut, share, inputs, &to)?;
    }
    Ok(Forward { y, last, saved })
}

fn walk(cut: &Cut, share: Share, [k, v, w, u]: [&Tensor; 4], to: &Bindings<'_>) -> Result<()> {
    let launch = cut.walk(k.device(), &WKV).params(&share);
    let launch = launch
        .constant("STATE", u32::from(to.starts.is_some()))
        .constant("EMIT", u32::from(to.emit))
        .constant("SAVE", u32::from(to.saved.is_some()));
    let unused;
    let saved = match to.saved {
        Some(saved) => saved,
        None => {
            unused = Tensor::empty(k.device(), [1], DType::F32)?;
            &unused
        }
    };
    let launch = launch
        .bind_next(k)
        .bind_next(v)
        .bind_next(w)
        .bind_next(u)
        .bind_next(to.starts.unwrap_or(k));
    launch.bind_next(to.y).bind_next(saved).bind_next(to.last).record()
}
