//! What backward needs of the output and its gradient.

use super::geometry::Geometry;
use super::twin;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `delta[r] = go[r].o[r]`, and compact rows of `go`
    pub(super) static ATTENTION_DELTA = "attention/attention_delta";
    params = Geometry;
    oracle = twin::delta;
    turns = |args| u64::from(args.params::<Geometry>().quads) + 1;
}

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
    let launch = launch.bind("order", order).bind("o", o).bind("go", go);
    launch.bind("go_rows", &rows).bind("stats", stats).items(p.rows()).record()?;
    Ok(rows)
}
