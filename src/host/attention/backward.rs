//! `attention_query_gradient` and `attention_key_gradient` on the host.

use super::block::{BLOCK, Rows, Seen, TASK, Turned, clear_between};
use super::product::{Matrix, add_product, padded};
use crate::attention::orders::Orders;
use crate::host::parallel::*;
use crate::host::{HostArgs, Simd, Vectorised, exp, vectorise};

pub(crate) fn attention_query_gradient(args: &mut HostArgs<'_, f32>) {
    let orders = Orders::new(args);
    let [q, k, v, go, stats] = ["q", "k", "v", "go", "stats"].map(|x| args.reals(x));
    let gq = args.reals_mut("gq");
    let open_keys = |bh| orders.keys(bh).count();
    let [turned_k, turned_v] = [k, v].map(|x| Turned::new(&orders, x, open_keys));
    let (steps, stride) = (orders.p.steps as usize, orders.p.stride());
    gq.par_chunks_mut(steps * stride).enumerate().for_each(|(bh, gq)| {
        let head = bh * steps * stride..(bh + 1) * steps * stride;
        let k = Rows::new(&k[head.clone()], stride, open_keys(bh));
        let count = orders.queries(bh).count();
        let gq = gq[..count * stride].par_chunks_mut(TASK * stride);
        gq.enumerate().for_each(|(task, gq)| {
            let [q, go] = [q, go].map(|x| &x[head.clone()]);
            let [lse, delta] = of_head(stats, bh, steps);
            let (orders, first) = (&orders, task * TASK);
            let [turned_k, turned_v] = [&turned_k, &turned_v];
            let mut task =
                QueryTask { orders, bh, first, q, k, go, lse, delta, turned_k, turned_v, gq };
            vectorise(&mut task);
        });
    });
}

/// Logarithms of sums and deltas of the queries of a head.
fn of_head(stats: &[f32], bh: usize, steps: usize) -> [&[f32]; 2] {
    let (lse, delta) = stats.split_at(stats.len() / 2);
    [lse, delta].map(|x| &x[bh * steps..(bh + 1) * steps])
}

/// Some queries of a head.
struct QueryTask<'a> {
    orders: &'a Orders<'a>,
    bh: usize,
    first: usize,
    /// Rows of the head.
    q: &'a [f32],
    k: Rows<'a>,
    go: &'a [f32],
    lse: &'a [f32],
    delta: &'a [f32],
    turned_k: &'a Turned,
    turned_v: &'a Turned,
    /// Rows of the task.
    gq: &'a mut [f32],
}

impl Vectorised for QueryTask<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self) {
        let d = self.orders.p.stride();
        let (mut scores, mut above) = (Vec::new(), Vec::new());
        for (block, gq) in self.gq.chunks_mut(BLOCK * d).enumerate() {
            let first = self.first + block * BLOCK;
            let rows = gq.len() / d;
            let seen = Seen::new(self.orders, self.bh, first..first + rows);
            let size = rows * seen.stride;
            for buffer in [&mut scores, &mut above] {
                buffer.clear();
                buffer.resize(size, 0.0);
            }
            let pairs =
                [(self.q, self.turned_k, &mut scores), (self.go, self.turned_v, &mut above)];
            for (x, turned, out) in pairs {
                let x = Matrix { data: &x[first * d..], stride: d };
                for ((key, count), start) in seen.parts.into_iter().zip(seen.starts()) {
                    let turned = Matrix { data: turned.from(self.bh, key), stride: turned.stride };
                    let extents = [rows, d, padded(count)];
                    add_product::<S>(extents, x, turned, &mut out[start.min(size)..], seen.stride);
                }
            }
            for i in 0..rows {
                let row = i * seen.stride..(i + 1) * seen.stride;
                let (scores, above) = (&mut scores[row.clone()], &above[row]);
                let (lse, delta) = (self.lse[first + i], self.delta[first + i]);
                let columns = seen.columns(i);
                for range in columns.clone() {
                    for (s, above) in scores[range.clone()].iter_mut().zip(&above[range]) {
                        *s = exp(*s - lse) * (*above - delta);
                    }
                }
                clear_between(scores, &columns);
            }
            gq.fill(0.0);
            seen.add_rows::<S>(&scores, self.k, gq);
        }
    }
}

pub(crate) fn attention_key_gradient(args: &mut HostArgs<'_, f32>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let [q, k, v, go, stats] = ["q", "k", "v", "go", "stats"].map(|x| args.reals(x));
    let (gk, gv) = (args.reals_mut("gk"), args.reals_mut("gv"));
    let open_queries = |bh| orders.queries(bh).count();
    let [turned_q, turned_go] = [q, go].map(|x| Turned::new(&orders, x, open_queries));
    let (steps, stride) = (p.steps as usize, p.stride());
    let run = |bh: usize, segment: Option<usize>, count: usize, gk: &mut [f32], gv: &mut [f32]| {
        let gk = gk[..count * stride].par_chunks_mut(TASK * stride);
        let gv = gv[..count * stride].par_chunks_mut(TASK * stride);
        let head = bh * steps * stride..(bh + 1) * steps * stride;
        let [q, go] = [q, go].map(|x| Rows::new(&x[head.clone()], stride, open_queries(bh)));
        gk.zip(gv).enumerate().for_each(|(task, (gk, gv))| {
            let [k, v] = [k, v].map(|x| &x[head.clone()]);
            let [lse, delta] = of_head(stats, bh, steps);
            let (orders, first) = (&orders, task * TASK);
            let [turned_q, turned_go] = [&turned_q, &turned_go];
            let mut task = KeyTask {
                orders,
                bh,
                segment,
                first,
                q,
                k,
                v,
                go,
                lse,
                delta,
                turned_q,
                turned_go,
                gk,
                gv,
            };
            vectorise(&mut task);
        });
    };
    let (gk, gk_parts) = gk.split_at_mut(p.rows() * stride);
    let (gv, gv_parts) = gv.split_at_mut(p.rows() * stride);
    let heads = gk.par_chunks_mut(steps * stride).zip(gv.par_chunks_mut(steps * stride));
    heads.enumerate().for_each(|(bh, (gk, gv))| {
        run(bh, None, orders.keys(bh).count(), gk, gv);
    });
    let part = (p.anchors as usize * stride).max(1);
    let parts = gk_parts.par_chunks_mut(part).zip(gv_parts.par_chunks_mut(part));
    parts.enumerate().for_each(|(i, (gk, gv))| {
        let (segment, bh) = (i / p.all_heads(), i % p.all_heads());
        run(bh, Some(segment), orders.anchors(bh), gk, gv);
    });
}

/// Some keys of a head.
struct KeyTask<'a> {
    orders: &'a Orders<'a>,
    bh: usize,
    /// Of the queries that see anchors beyond their window.
    segment: Option<usize>,
    first: usize,
    /// Rows of the head.
    q: Rows<'a>,
    k: &'a [f32],
    v: &'a [f32],
    go: Rows<'a>,
    lse: &'a [f32],
    delta: &'a [f32],
    turned_q: &'a Turned,
    turned_go: &'a Turned,
    /// Rows of the task.
    gk: &'a mut [f32],
    gv: &'a mut [f32],
}

impl Vectorised for KeyTask<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self) {
        let d = self.orders.p.stride();
        let (mut weights, mut above) = (Vec::new(), Vec::new());
        let blocks = self.gk.chunks_mut(BLOCK * d).zip(self.gv.chunks_mut(BLOCK * d));
        for (block, (gk, gv)) in blocks.enumerate() {
            let first = self.first + block * BLOCK;
            let rows = gk.len() / d;
            let seen: [_; BLOCK] = std::array::from_fn(|i| {
                let row = first + i.min(rows - 1);
                self.orders.readers(self.bh, row, self.segment)
            });
            let start = seen.iter().map(|r| r.start).min().unwrap_or(0);
            let end = seen.iter().map(|r| r.end).max().unwrap_or(0).max(start);
            let (count, stride) = (end - start, padded(end - start));
            for buffer in [&mut weights, &mut above] {
                buffer.clear();
                buffer.resize(rows * stride, 0.0);
            }
            let pairs =
                [(self.k, self.turned_q, &mut weights), (self.v, self.turned_go, &mut above)];
            for (x, turned, out) in pairs {
                let x = Matrix { data: &x[first * d..], stride: d };
                let turned = Matrix { data: turned.from(self.bh, start), stride: turned.stride };
                add_product::<S>([rows, d, stride], x, turned, out, stride);
            }
            for (i, seen) in seen.iter().take(rows).enumerate() {
                let row = i * stride..(i + 1) * stride;
                let (weights, above) = (&mut weights[row.clone()], &mut above[row]);
                let range = seen.start - start..seen.end.max(seen.start) - start;
                let stats = self.lse[seen.clone()].iter().zip(&self.delta[seen.clone()]);
                let both = weights[range.clone()].iter_mut().zip(&mut above[range.clone()]);
                for ((weight, above), (lse, delta)) in both.zip(stats) {
                    *weight = exp(*weight - *lse);
                    *above = *weight * (*above - *delta);
                }
                let range = std::slice::from_ref(&range);
                clear_between(weights, range);
                clear_between(above, range);
            }
            let sums = [(gk, &above, self.q), (gv, &weights, self.go)];
            for (sum, weights, rows_of) in sums {
                sum.fill(0.0);
                if !rows_of.finite {
                    for (i, (seen, sum)) in seen.iter().zip(sum.chunks_exact_mut(d)).enumerate() {
                        let weights = &weights[i * stride..][..stride];
                        let range = seen.start - start..seen.end.max(seen.start) - start;
                        rows_of.add_stretch::<S>(seen.start, &weights[range], sum);
                    }
                    continue;
                }
                let weights = Matrix { data: weights, stride };
                let x = Matrix { data: &rows_of.data[start * d..], stride: d };
                add_product::<S>([rows, count, d], weights, x, sum, d);
            }
        }
    }
}
