//! Open rows of queries, keys and values, made compact.

use super::geometry::Geometry;
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// Compact rows of q, k and v; q and k turned by their position
pub(super) static ATTENTION_GATHER: Kernel = Kernel::new(
    "attention",
    "attention_gather",
    shader!("attention/attention_gather"),
    crate::twin!(twin::gather),
)
.params::<Geometry>()
.turns(|args| u64::from(args.params::<Geometry>().quads) + 1);

/// Compact rows `[B, H, S, d padded to 4]` of `[q, k, v]`, of which those above the count of open
/// positions hold anything.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    table: Option<&Tensor>,
    inputs: [&Tensor; 3],
) -> Result<[Tensor; 3]> {
    let device = order.device();
    let rows = || Tensor::empty(device, [p.rows(), p.stride()], DType::F32);
    let out = [rows()?, rows()?, rows()?];
    let mut launch = device.launch(&ATTENTION_GATHER).params(p).bind_next(order);
    launch = launch.bind_next(table.unwrap_or(inputs[0]));
    for input in inputs {
        launch = launch.bind_next(input);
    }
    for rows in &out {
        launch = launch.bind_next(rows);
    }
    p.moving(device, launch, 3 * p.rows()).record()?;
    Ok(out)
}
