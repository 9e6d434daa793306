//! The gradients of keys and values.

use super::geometry::{GRADIENTS, Geometry, STRETCH, key_cost, pair_turns};
use super::twin;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `gk[j] = sum over queries that see j of dS q`, `gv[j] = … of P go`
    pub(super) static ATTENTION_KEY_GRADIENT = "attention/attention_key_gradient";
    params = Geometry;
    oracle = twin::key_gradient;
    variants = GRADIENTS;
    cost = key_cost;
    turns = pair_turns;
}

/// Compact rows of the gradients of the turned keys and of the values, each followed by the parts of
/// the anchors' sums.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    [q, k, v]: &[Tensor; 3],
    go: &Tensor,
    stats: &Tensor,
) -> Result<[Tensor; 2]> {
    let device = order.device();
    let rows = || Tensor::empty(device, [p.rows() + p.parts(), p.stride()], DType::F32);
    let [gk, gv] = [rows()?, rows()?];
    let launch = device.launch(&ATTENTION_KEY_GRADIENT).params(p).when("BACKWARD", true);
    let launch = launch
        .bind("order", order)
        .bind("q", q)
        .bind("k", k)
        .bind("v", v)
        .bind("go", go)
        .bind("stats", stats)
        .bind("gk", &gk)
        .bind("gv", &gv);
    let tasks = |rows| p.steps.div_ceil(rows) + p.segments * p.anchors.div_ceil(rows);
    p.over_pairs(device, launch, STRETCH, tasks).record()?;
    Ok([gk, gv])
}
