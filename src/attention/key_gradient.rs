//! The gradients of keys and values.

use super::geometry::{GRADIENTS, Geometry, STRETCH, key_cost, pair_iterations};
use super::orders::{Orders, add, dot};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor, kernel};

/// Key by key, over the queries that see it: `gk = sum of dS q`, `gv = sum of P go`; of an anchor that is
/// split, segment by segment what is beyond its window.
fn attention_key_gradient<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let [q, k, v, go, stats] = ["q", "k", "v", "go", "stats"].map(|x| args.reals(x));
    let (lse, delta) = stats.split_at(p.rows());
    let (steps, d) = (p.steps as usize, p.stride());
    let of_key = |bh: usize, row: usize, segment: Option<usize>, gk: &mut [R], gv: &mut [R]| {
        let at = |row: usize| (bh * steps + row) * d..(bh * steps + row + 1) * d;
        gk.fill(R::zero());
        gv.fill(R::zero());
        for query in orders.readers(bh, row, segment) {
            let of_query = bh * steps + query;
            let weight = (dot(&q[at(query)], &k[at(row)]) - lse[of_query]).exp();
            let above = dot(&go[at(query)], &v[at(row)]);
            add(gk, weight * (above - delta[of_query]), &q[at(query)]);
            add(gv, weight, &go[at(query)]);
        }
    };
    let (gk, gv) = (args.reals_mut("gk"), args.reals_mut("gv"));
    let pairs = gk.par_chunks_mut(d).zip(gv.par_chunks_mut(d)).enumerate();
    pairs.for_each(|(place, (gk, gv))| match place.checked_sub(p.rows()) {
        None => {
            let (bh, row) = (place / steps, place % steps);
            if row < orders.keys(bh).count() {
                of_key(bh, row, None, gk, gv);
            }
        }
        Some(part) => {
            let (part, row) = (part / p.anchors as usize, part % p.anchors as usize);
            let (segment, bh) = (part / p.all_heads(), part % p.all_heads());
            if row < orders.anchors(bh) {
                of_key(bh, row, Some(segment), gk, gv);
            }
        }
    });
}

kernel! {
    /// `gk[j] = sum over queries that see j of dS q`, `gv[j] = … of P go`
    pub(super) static ATTENTION_KEY_GRADIENT = "attention/attention_key_gradient";
    params = Geometry;
    oracle = attention_key_gradient;
    host = crate::host::attention::attention_key_gradient;
    variants = GRADIENTS;
    cost = key_cost;
    iterations = pair_iterations;
}

/// Compact rows of the gradients of the turned keys and of the values, each followed by the parts of
/// the anchors' sums.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    [q, k, v]: &[Tensor; 3],
    go: &Tensor,
    stats: &Tensor,
) -> Result<[Tensor; 2]> {
    let device = order.device();
    let rows = || Tensor::empty(device, [p.rows() + p.parts(), p.stride()], DType::F32);
    let [gk, gv] = [rows()?, rows()?];
    let launch = device.launch(&ATTENTION_KEY_GRADIENT).params(p).when("BACKWARD", true);
    let launch = launch
        .bind("order", order)
        .bind("q", q)
        .bind("k", k)
        .bind("v", v)
        .bind("go", go)
        .bind("stats", stats)
        .bind("gk", &gk)
        .bind("gv", &gv);
    let tasks = |rows| p.steps.div_ceil(rows) + p.segments * p.anchors.div_ceil(rows);
    p.over_pairs(device, launch, STRETCH, tasks).record()?;
    Ok([gk, gv])
}
