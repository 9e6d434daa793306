//! The backward launch of WKV.

use super::decay_forward::emits;
use super::plan::Cut;
use super::wkv::{K, Params, U, V, W};
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
.params::<Params>()
.cost(cost);

/// k, v, gy, gk, gv and what forward saved.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let moved: u64 = args.words.iter().sum::<u64>() - args.words[6];
    Cost { bytes: moved as f64 * 4.0, flops: args.words[0] as f64 * 56.0 }
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
            self.walk(&gy, [&gk, &gv, &carry, &sums], false)?;
            wkv_carry::join_backward(cut, &self.memories, &carry)?;
            carry
        } else {
            Tensor::empty(device, [1], DType::F32)?
        };
        self.walk(&gy, [&gk, &gv, &carry, &sums], true)?;
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

    fn walk(&self, gy: &Tensor, to: [&Tensor; 4], emit: bool) -> Result<()> {
        let cut = &self.cut;
        let launch = cut.walk(gy.device(), &WKV_BACKWARD).params(&Params::of(cut));
        let launch = launch
            .constant("CARRY", u32::from(emit && cut.is_chunked()))
            .constant("EMIT", u32::from(emit));
        let mut launch = launch.bind(&self.k).bind(&self.v).bind(gy).bind(&self.memories);
        for tensor in to {
            launch = launch.bind(tensor);
        }
        launch.record()
    }
}
