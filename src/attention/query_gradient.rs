//! The gradient of the queries.

use super::geometry::{GRADIENTS, Geometry, SLICE, pair_iterations, query_cost};
use super::orders::{Orders, add, dot};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor, kernel};

/// Query by query: of each pair `dS = P (go.v - delta)`, `P = exp(q.k - lse)`.
fn attention_query_gradient<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let [q, k, v, go, stats] = ["q", "k", "v", "go", "stats"].map(|x| args.reals(x));
    let (lse, delta) = stats.split_at(orders.p.rows());
    let (steps, d) = (orders.p.steps as usize, orders.p.stride());
    args.reals_mut("gq").par_chunks_mut(steps * d).enumerate().for_each(|(bh, gq)| {
        let at = |row: usize| (bh * steps + row) * d..(bh * steps + row + 1) * d;
        let rows = gq.chunks_exact_mut(d).take(orders.queries(bh).count());
        for (row, gq) in rows.enumerate() {
            gq.fill(R::zero());
            let query = bh * steps + row;
            for key in orders.seen(bh, row) {
                let weight = (dot(&q[at(row)], &k[at(key)]) - lse[query]).exp();
                let above = dot(&go[at(row)], &v[at(key)]);
                add(gq, weight * (above - delta[query]), &k[at(key)]);
            }
        }
    });
}

kernel! {
    /// `gq[r] = sum over seen keys of dS k`
    pub(super) static ATTENTION_QUERY_GRADIENT = "attention/attention_query_gradient";
    params = Geometry;
    oracle = attention_query_gradient;
    host = crate::host::attention::attention_query_gradient;
    variants = GRADIENTS;
    cost = query_cost;
    iterations = pair_iterations;
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
