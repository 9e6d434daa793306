//! The open positions, counted and listed.

use super::geometry::Geometry;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

fn gate_order<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: OrderParams = args.params();
    let [steps, groups, base] = [p.steps, p.groups, p.base].map(|n| n as usize);
    let row = 2 * steps + 1;
    let order = &mut args.words_mut("order")[base * row..][..groups * row];
    let write = |is_open: &(dyn Fn(usize) -> bool + Sync), order: &mut [u32]| {
        order.par_chunks_mut(row).enumerate().for_each(|(g, order)| {
            list(steps, |s| is_open(s * groups + g), order);
        });
    };
    if args.when("REAL") {
        let gate = args.reals("gate");
        write(&|i| gate[i] != R::zero(), order);
    } else {
        let gate = args.words("gate");
        write(&|i| gate[i] != 0, order);
    }
}

/// Writes rank and index of one group.
fn list(steps: usize, is_open: impl Fn(usize) -> bool, order: &mut [u32]) {
    let (rank, index) = order.split_at_mut(steps + 1);
    let mut open = 0;
    for (s, rank) in rank.iter_mut().enumerate() {
        *rank = open as u32;
        if s < steps && is_open(s) {
            index[open] = s as u32;
            open += 1;
        }
    }
    let silent = (0..steps).filter(|s| !is_open(*s));
    for (index, s) in index[open..].iter_mut().zip(silent) {
        *index = s as u32;
    }
}

kernel! {
    /// `rank[g, s]`, `index[g, ..]`
    pub(super) static GATE_ORDER = "attention/gate_order";
    params = OrderParams;
    oracle = gate_order;
    variants = VARIANTS;
    iterations = |args| {
        let lanes = args.constant("WG").max(1);
        2 * u64::from(args.params::<OrderParams>().steps).div_ceil(lanes) + lanes + 3
    };
}

const VARIANTS: &[Variant] = &[Variant::portable("u32", &[]), Variant::portable("f32", &["REAL"])];

crate::params! {
    pub(super) struct OrderParams {
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
    write(key_gate, &order, OrderParams { steps: p.steps, groups: keys, base: 0 })?;
    if let Some(gate) = query_gate
        && queries > 0
    {
        write(gate, &order, OrderParams { steps: p.steps, groups: queries, base: keys })?;
    }
    Ok(order)
}

fn write(gate: &Tensor, order: &Tensor, params: OrderParams) -> Result<()> {
    let device = gate.device();
    let lanes = device.tuning().order_lanes;
    let launch = device.launch(&GATE_ORDER).when("REAL", gate.dtype() == DType::F32);
    let launch = launch.constant("WG", lanes).params(&params);
    let launch = launch.bind("gate", gate).bind("order", order);
    launch.workgroups(params.groups as usize).record()
}
