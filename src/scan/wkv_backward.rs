//! The backward launch of WKV.

use super::decay_forward::emits;
use super::plan::{Cut, Share, WALKS};
use super::wkv::{K, U, V, W};
use super::{twin, wkv_carry};
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::tape::Backward;
use crate::{DType, Result, Tensor, layout, reduce};

/// `gk`, `gv`, `gw`, `gu`, from the last step to the first
pub(super) static WKV_BACKWARD: Kernel = Kernel::new(
    "scan",
    "wkv_backward",
    shader!("scan/wkv_backward"),
    crate::twin!(twin::wkv_backward),
)
.params::<Share>()
.variants(WALKS)
.cost(cost)
.turns(|args| args.params::<Share>().turns(args, 28, 64));

/// k, v, gy, gk, gv and what forward saved.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<Share>().fraction();
    let moved: u64 = args.words[..6].iter().sum();
    let bytes = (moved as f64 * share + args.words[7] as f64) * 4.0;
    Cost { bytes, flops: args.words[0] as f64 * share * 56.0 }
}

/// What a launch finds, and what it does.
#[derive(Clone, Copy)]
struct Stage {
    /// Whether the carried gradients are given.
    given: bool,
    /// Whether the sums hold those of later steps.
    more: bool,
    /// Whether it writes its outputs.
    emit: bool,
}

/// What backward needs.
pub(super) struct Saved {
    pub(super) cut: Cut,
    /// The memories of every eighth step, and w' and u of every column.
    pub(super) memories: Tensor,
    pub(super) k: Tensor,
    pub(super) v: Tensor,
}

impl Saved {
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(gy) = bw.upstream(0).cloned() else { return Ok(()) };
        let device = gy.device();
        let cut = &self.cut;
        let gk = Tensor::empty(device, *gy.shape(), DType::F32)?;
        let gv = Tensor::empty(device, *gy.shape(), DType::F32)?;
        let states = [2, cut.chunks, cut.columns];
        let sums = Tensor::empty(device, states, DType::F32)?;
        let carry = if cut.is_chunked() {
            let carry = Tensor::empty(device, states, DType::F32)?;
            let to = [&gk, &gv, &carry, &sums];
            self.walk(&gy, cut.whole(), to, Stage { given: false, more: false, emit: false })?;
            wkv_carry::join_backward(cut, &self.memories, &carry)?;
            carry
        } else {
            Tensor::empty(device, states, DType::F32)?
        };
        for (i, share) in cut.shares().into_iter().rev().enumerate() {
            let stage = Stage { given: cut.is_chunked() || i > 0, more: i > 0, emit: true };
            self.walk(&gy, share, [&gk, &gv, &carry, &sums], stage)?;
        }
        bw.give(K, gk);
        bw.give(V, gv);
        if bw.needs(W) || bw.needs(U) {
            let rows = cut.chunks * cut.columns / cut.channels;
            let sums = reduce::sum(&sums.reshape([2, rows, cut.channels])?, &[1], false)?;
            for (row, input) in [W, U].into_iter().enumerate() {
                if bw.needs(input) {
                    let part = layout::slice(&sums, &[row..row + 1, 0..cut.channels])?;
                    bw.give(input, part.reshape([cut.channels])?);
                }
            }
        }
        Ok(())
    }

    fn walk(&self, gy: &Tensor, share: Share, to: [&Tensor; 4], stage: Stage) -> Result<()> {
        let cut = &self.cut;
        let launch = cut.walk(gy.device(), &WKV_BACKWARD).params(&share);
        let launch = launch
            .constant("CARRY", u32::from(stage.given))
            .constant("MORE", u32::from(stage.more))
            .constant("EMIT", u32::from(stage.emit));
        let mut launch =
            launch.bind_next(&self.k).bind_next(&self.v).bind_next(gy).bind_next(&self.memories);
        for tensor in to {
            launch = launch.bind_next(tensor);
        }
        launch.record()
    }
}
