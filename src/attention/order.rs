//! The open positions, counted and listed.

use super::geometry::Geometry;
use super::twin;
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `rank[g, s]`, `index[g, ..]`
    pub(super) static GATE_ORDER = "attention/gate_order";
    params = Params;
    oracle = twin::gate_order;
    variants = VARIANTS;
    turns = |args| {
        let lanes = args.constant("WG").max(1);
        2 * u64::from(args.params::<Params>().steps).div_ceil(lanes) + lanes + 3
    };
}

const VARIANTS: &[Variant] = &[Variant::portable("u32", &[]), Variant::portable("f32", &["REAL"])];

crate::params! {
    pub(super) struct Params {
        steps: u32,
        groups: u32,
        base: u32,
    }
}

/// The order of the keys, followed by that of the queries if it is another: `[groups, 2 S + 1]`.
pub(super) fn of(p: &Geometry, key_gate: &Tensor, query_gate: Option<&Tensor>) -> Result<Tensor> {
    let keys = p.batch * p.key_groups;
    let queries = if p.query_base == 0 { 0 } else { p.batch * p.query_groups };
    let row = 2 * p.steps as usize + 1;
    let shape = [(keys + queries) as usize, row];
    let order = Tensor::empty(key_gate.device(), shape, DType::U32)?;
    write(key_gate, &order, Params { steps: p.steps, groups: keys, base: 0 })?;
    if let Some(gate) = query_gate
        && queries > 0
    {
        write(gate, &order, Params { steps: p.steps, groups: queries, base: keys })?;
    }
    Ok(order)
}

fn write(gate: &Tensor, order: &Tensor, params: Params) -> Result<()> {
    let device = gate.device();
    let lanes = device.tuning().order_lanes;
    let launch = device.launch(&GATE_ORDER).when("REAL", gate.dtype() == DType::F32);
    let launch = launch.constant("WG", lanes).params(&params);
    let launch = launch.bind("gate", gate).bind("order", order);
    launch.workgroups(params.groups as usize).record()
}
