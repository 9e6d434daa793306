//! The weighted sums of values.

use super::geometry::{Geometry, SLICE, forward_cost, pair_turns};
use super::twin;
use crate::kernel::{Kernel, Needs, Variant, shader};
use crate::{DType, Result, Tensor};

/// `o[r] = sum over seen keys of softmax(q[r].k) v`, over compact rows
pub(super) static ATTENTION_FORWARD: Kernel = Kernel::new(
    "attention",
    "attention_forward",
    shader!("attention/attention_forward"),
    crate::twin!(twin::forward),
)
.params::<Geometry>()
.variants(VARIANTS)
.cost(forward_cost)
.turns(pair_turns);

const VARIANTS: &[Variant] = &[
    Variant { name: "registers", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "tiled", conditions: &["TILED"], needs: Needs::NOTHING },
];

/// What the launch writes.
pub(super) struct Outcome {
    /// Compact rows of the output.
    pub(super) o: Tensor,
    /// `[2, B, H, S]`: the logarithms of the sums, and room for the deltas of backward.
    pub(super) stats: Tensor,
}

/// Runs it over compact `[q, k, v]`.
pub(super) fn run(p: &Geometry, order: &Tensor, [q, k, v]: &[Tensor; 3]) -> Result<Outcome> {
    let device = order.device();
    let o = Tensor::empty(device, [p.rows(), p.stride()], DType::F32)?;
    let stats = Tensor::empty(device, [2, p.rows()], DType::F32)?;
    let launch = device.launch(&ATTENTION_FORWARD).params(p);
    let launch = launch
        .bind_next(order)
        .bind_next(q)
        .bind_next(k)
        .bind_next(v)
        .bind_next(&o)
        .bind_next(&stats);
    p.over_pairs(device, launch, SLICE, |rows| p.steps.div_ceil(rows)).record()?;
    Ok(Outcome { o, stats })
}
