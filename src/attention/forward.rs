//! The weighted sums of values.

use super::geometry::{Geometry, SLICE, forward_cost, pair_iterations};
use super::orders::{Orders, add, dot};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, greatest};
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

/// The logarithm of an empty sum.
const NEVER: f64 = f32::MIN as f64;

/// Query by query: the softmax of its scores, then the sum of the values.
fn attention_forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let [q, k, v] = ["q", "k", "v"].map(|x| args.reals(x));
    let (o, stats) = (args.reals_mut("o"), args.reals_mut("stats"));
    let (steps, d) = (orders.p.steps as usize, orders.p.stride());
    let heads = o.par_chunks_mut(steps * d).zip(stats.par_chunks_mut(steps)).enumerate();
    heads.for_each(|(bh, (o, lse))| {
        let at = |row: usize| (bh * steps + row) * d..(bh * steps + row + 1) * d;
        let rows = o.chunks_exact_mut(d).zip(lse).take(orders.queries(bh).count());
        for (row, (o, lse)) in rows.enumerate() {
            o.fill(R::zero());
            *lse = R::lit(NEVER);
            let seen = orders.seen(bh, row);
            let scores: Vec<R> = seen.clone().map(|key| dot(&q[at(row)], &k[at(key)])).collect();
            if scores.is_empty() {
                continue;
            }
            let highest = scores.iter().copied().fold(R::lit(NEVER), greatest);
            let weights: Vec<R> = scores.iter().map(|score| (*score - highest).exp()).collect();
            let sum: R = weights.iter().copied().sum();
            // Where all scores are -infinity, 0 / 0.
            *lse = if sum == R::zero() { R::nan() } else { highest + sum.ln() };
            for (key, weight) in seen.zip(weights) {
                add(o, weight / sum, &v[at(key)]);
            }
        }
    });
}

kernel! {
    /// `o[r] = sum over seen keys of softmax(q[r].k) v`, over compact rows
    pub(super) static ATTENTION_FORWARD = "attention/attention_forward";
    params = Geometry;
    oracle = attention_forward;
    host = crate::host::attention::attention_forward;
    variants = VARIANTS;
    cost = forward_cost;
    iterations = pair_iterations;
}

const VARIANTS: &[Variant] =
    &[Variant::portable("registers", &[]), Variant::portable("tiled", &["TILED"])];

/// What the launch writes.
pub(super) struct Outcome {
    /// Compact rows of the output.
    pub(super) o: Tensor,
    /// `[2, B, H, S]`: the logarithms of the sums, and room for the deltas of backward.
    pub(super) stats: Tensor,
}

/// Runs it over compact `[q, k, v]`.
pub(super) fn run(p: &Geometry, order: &Tensor, [q, k, v]: &[Tensor; 3]) -> Result<Outcome> {
    let device = order.device();
    let o = Tensor::empty(device, [p.rows(), p.stride()], DType::F32)?;
    let stats = Tensor::empty(device, [2, p.rows()], DType::F32)?;
    let launch = device.launch(&ATTENTION_FORWARD).params(p);
    let launch = launch
        .bind("order", order)
        .bind("q", q)
        .bind("k", k)
        .bind("v", v)
        .bind("o", &o)
        .bind("stats", &stats);
    p.over_pairs(device, launch, SLICE, |rows| p.steps.div_ceil(rows)).record()?;
    Ok(Outcome { o, stats })
}
