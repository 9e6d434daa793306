//! Compact rows, put back in their places.

use super::geometry::Geometry;
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Shape, Tensor};

/// `y[position of r] = x[r]`, turned back; zero at silent positions
pub(super) static ATTENTION_SCATTER: Kernel = Kernel::new(
    "attention",
    "attention_scatter",
    shader!("attention/attention_scatter"),
    crate::twin!(twin::scatter),
)
.params::<Geometry>()
.turns(|args| {
    let p: Geometry = args.params();
    u64::from(p.width) * (2 * u64::from(p.segments) + 3) + 1
});

/// What the compact rows are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Of keys, with the parts of anchors, and not of queries.
    pub(super) keys: bool,
    /// The angles to turn back by.
    pub(super) table: Option<&'a Tensor>,
    /// Whether the scale is applied.
    pub(super) scaled: bool,
}

/// A tensor `[S, B, H d]` from compact rows.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    x: &Tensor,
    rows: Rows<'_>,
    shape: Shape,
) -> Result<Tensor> {
    let device = order.device();
    let y = Tensor::empty(device, shape, DType::F32)?;
    let launch = device.launch(&ATTENTION_SCATTER).params(p);
    let launch = launch.constant("KEYS", u32::from(rows.keys));
    let launch = launch.constant("TURN", u32::from(rows.table.is_some()));
    let launch = launch.constant("SCALED", u32::from(rows.scaled));
    let launch =
        launch.bind_next(order).bind_next(rows.table.unwrap_or(x)).bind_next(x).bind_next(&y);
    p.moving(device, launch, p.rows()).record()?;
    Ok(y)
}
