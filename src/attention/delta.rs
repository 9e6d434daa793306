//! What backward needs of the output and its gradient.

use super::geometry::Geometry;
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `delta[r] = go[r].o[r]`, and compact rows of `go`
pub(super) static ATTENTION_DELTA: Kernel = Kernel::new(
    "attention",
    "attention_delta",
    shader!("attention/attention_delta"),
    crate::twin!(twin::delta),
)
.params::<Geometry>()
.turns(|args| u64::from(args.params::<Geometry>().quads) + 1);

/// Writes the deltas to the second half of `stats`; gives the open rows of `go`.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    o: &Tensor,
    go: &Tensor,
    stats: &Tensor,
) -> Result<Tensor> {
    let device = order.device();
    let rows = Tensor::empty(device, [p.rows(), p.stride()], DType::F32)?;
    let launch = device.launch(&ATTENTION_DELTA).params(p);
    let launch =
        launch.bind_next(order).bind_next(o).bind_next(go).bind_next(&rows).bind_next(stats);
    launch.items_of(p.rows(), 64).record()?;
    Ok(rows)
}
