//! Open rows of queries, keys and values, made compact.

use super::compact::{take_rows, turn};
use super::geometry::Geometry;
use super::orders::Orders;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor, kernel};

fn attention_gather<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let (p, table) = (orders.p, args.reals("table"));
    let scale = R::lit(p.scale.into());
    for (x, rows) in [("q", "q_rows"), ("k", "k_rows"), ("v", "v_rows")] {
        let is_query = x == "q";
        let half = if x == "v" { 0 } else { p.half as usize };
        let factor = if is_query { scale } else { R::one() };
        take_rows(&orders, is_query, args.reals(x), args.reals_mut(rows), |s, x, y| {
            y[x.len()..].fill(R::zero());
            turn(x, y, &table[if half == 0 { 0 } else { s * 2 * half }..], half, factor, R::one());
        });
    }
}

kernel! {
    /// Compact rows of q, k and v; q and k turned by their position
    pub(super) static ATTENTION_GATHER = "attention/attention_gather";
    params = Geometry;
    oracle = attention_gather;
    iterations = |args| u64::from(args.params::<Geometry>().quads) + 1;
}

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
    let launch = device.launch(&ATTENTION_GATHER).params(p).bind("order", order);
    let mut launch = launch.bind_if("table", table);
    for (name, input) in ["q", "k", "v"].into_iter().zip(inputs) {
        launch = launch.bind(name, input);
    }
    for (name, rows) in ["q_rows", "k_rows", "v_rows"].into_iter().zip(&out) {
        launch = launch.bind(name, rows);
    }
    p.moving(device, launch, 3 * p.rows()).record()?;
    Ok(out)
}
