//! The gradient of the queries.

use super::geometry::{GRADIENTS, Geometry, SLICE, pair_turns, query_cost};
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `gq[r] = sum over seen keys of dS k`
pub(super) static ATTENTION_QUERY_GRADIENT: Kernel = Kernel::new(
    "attention",
    "attention_query_gradient",
    shader!("attention/attention_query_gradient"),
    crate::twin!(twin::query_gradient),
)
.params::<Geometry>()
.variants(GRADIENTS)
.cost(query_cost)
.turns(pair_turns);

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
    let launch = device.launch(&ATTENTION_QUERY_GRADIENT).params(p).bind_next(order);
    let launch =
        launch.bind_next(q).bind_next(k).bind_next(v).bind_next(go).bind_next(stats).bind_next(&gq);
    p.over_pairs(device, launch, SLICE, |rows| p.steps.div_ceil(rows)).record()?;
    Ok(gq)
}
