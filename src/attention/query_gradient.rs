//! The gradient of the queries.

use super::geometry::{GRADIENTS, Geometry, SLICE, pair_turns, query_cost};
use super::twin;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `gq[r] = sum over seen keys of dS k`
    pub(super) static ATTENTION_QUERY_GRADIENT = "attention/attention_query_gradient";
    params = Geometry;
    oracle = twin::query_gradient;
    variants = GRADIENTS;
    cost = query_cost;
    turns = pair_turns;
}

/// Compact rows of the gradient of the scaled, turned queries.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    [q, k, v]: &[Tensor; 3],
    go: &Tensor,
    stats: &Tensor,
) -> Result<Tensor> {
    let device = order.device();
    let gq = Tensor::empty(device, [p.rows(), p.stride()], DType::F32)?;
    let launch = device.launch(&ATTENTION_QUERY_GRADIENT).params(p).when("BACKWARD", true);
    let launch = launch
        .bind("order", order)
        .bind("q", q)
        .bind("k", k)
        .bind("v", v)
        .bind("go", go)
        .bind("stats", stats)
        .bind("gq", &gq);
    p.over_pairs(device, launch, SLICE, |rows| p.steps.div_ceil(rows)).record()?;
    Ok(gq)
}
