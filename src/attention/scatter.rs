//! Compact rows, put back in their places.

use super::geometry::Geometry;
use super::twin;
use crate::{DType, Result, Shape, Tensor, kernel};

kernel! {
    /// `y[position of r] = x[r]`, turned back; zero at silent positions
    pub(super) static ATTENTION_SCATTER = "attention/attention_scatter";
    params = Geometry;
    oracle = twin::scatter;
    turns = |args| {
        let p: Geometry = args.params();
        u64::from(p.width) * (2 * u64::from(p.segments) + 3) + 1
    };
}

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
    let launch = launch.constant("KEYS", rows.keys).constant("SCALED", rows.scaled);
    let launch = launch.constant("TURN", rows.table.is_some()).bind_if("table", rows.table);
    let launch = launch.bind("order", order).bind("x", x).bind("y", &y);
    p.moving(device, launch, p.rows()).record()?;
    Ok(y)
}
