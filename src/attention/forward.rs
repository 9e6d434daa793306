//! The weighted sums of values.

use super::geometry::{Geometry, SLICE, forward_cost, pair_turns};
use super::twin;
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `o[r] = sum over seen keys of softmax(q[r].k) v`, over compact rows
    pub(super) static ATTENTION_FORWARD = "attention/attention_forward";
    params = Geometry;
    oracle = twin::forward;
    variants = VARIANTS;
    cost = forward_cost;
    turns = pair_turns;
}

const VARIANTS: &[Variant] =
    &[Variant::portable("registers", &[]), Variant::portable("tiled", &["TILED"])];

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
        .bind("order", order)
        .bind("q", q)
        .bind("k", k)
        .bind("v", v)
        .bind("o", &o)
        .bind("stats", &stats);
    p.over_pairs(device, launch, SLICE, |rows| p.steps.div_ceil(rows)).record()?;
    Ok(Outcome { o, stats })
}
