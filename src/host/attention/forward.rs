//! `attention_forward` on the host.

use super::block::{BLOCK, Rows, Seen, TASK, Turned, clear_between};
use super::product::{LANES, Matrix, add_product};
use crate::attention::orders::Orders;
use crate::host::parallel::*;
use crate::host::{HostArgs, Simd, Vectorised, exp, greatest, sum_of, vectorise};

/// The logarithm of an empty sum.
const NEVER: f32 = f32::MIN;

pub(crate) fn attention_forward(args: &mut HostArgs<'_, f32>) {
    let orders = Orders::new(args);
    let (q, k, v) = (args.reals("q"), args.reals("k"), args.reals("v"));
    let (o, stats) = (args.reals_mut("o"), args.reals_mut("stats"));
    let k = Turned::new(&orders, k, |bh| orders.keys(bh).count());
    let (steps, stride) = (orders.p.steps as usize, orders.p.stride());
    let heads = o.par_chunks_mut(steps * stride).zip(stats.par_chunks_mut(steps)).enumerate();
    heads.for_each(|(bh, (o, lse))| {
        let head = bh * steps * stride..(bh + 1) * steps * stride;
        let v = Rows::new(&v[head.clone()], stride, orders.keys(bh).count());
        let count = orders.queries(bh).count();
        let o = o[..count * stride].par_chunks_mut(TASK * stride);
        o.zip(lse[..count].par_chunks_mut(TASK)).enumerate().for_each(|(task, (o, lse))| {
            let first = task * TASK;
            let q = &q[head.clone()];
            vectorise(&mut Task { orders: &orders, bh, first, q, k: &k, v, o, lse });
        });
    });
}

/// Some queries of a head.
struct Task<'a> {
    orders: &'a Orders<'a>,
    bh: usize,
    first: usize,
    /// Rows of the head.
    q: &'a [f32],
    k: &'a Turned,
    v: Rows<'a>,
    /// Rows of the task.
    o: &'a mut [f32],
    lse: &'a mut [f32],
}

impl Vectorised for Task<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self) {
        let d = self.orders.p.stride();
        let mut scores = Vec::new();
        let blocks = self.o.chunks_mut(BLOCK * d).zip(self.lse.chunks_mut(BLOCK));
        for (block, (o, lse)) in blocks.enumerate() {
            let first = self.first + block * BLOCK;
            let rows = lse.len();
            let seen = Seen::new(self.orders, self.bh, first..first + rows);
            scores.clear();
            scores.resize(rows * seen.stride, 0.0);
            let q = Matrix { data: &self.q[first * d..], stride: d };
            for ((key, count), start) in seen.parts.into_iter().zip(seen.starts()) {
                let k = Matrix { data: self.k.from(self.bh, key), stride: self.k.stride };
                let size = [rows, d, count.next_multiple_of(LANES)];
                add_product::<S>(
                    size,
                    q,
                    k,
                    &mut scores[start.min(rows * seen.stride)..],
                    seen.stride,
                );
            }
            o.fill(0.0);
            let mut sums = [1.0; BLOCK];
            for (i, lse) in lse.iter_mut().enumerate() {
                let row = &mut scores[i * seen.stride..][..seen.stride];
                (*lse, sums[i]) = softmax(row, &seen, i);
            }
            seen.add_rows::<S>(&scores, self.v, o);
            for (o, sum) in o.chunks_exact_mut(d).zip(sums) {
                let factor = 1.0 / sum;
                o.iter_mut().for_each(|o| *o *= factor);
            }
        }
    }
}

/// Turns scores into exponentials of what they are below the highest, zero where a key is not seen.
/// Gives the logarithm of their sum, and the sum (1 if no key is seen; NaN where all scores are
/// -infinity).
#[inline(always)]
fn softmax(row: &mut [f32], seen: &Seen, i: usize) -> (f32, f32) {
    let columns = seen.columns(i);
    clear_between(row, &columns);
    let highest = columns.iter().map(|range| highest_of(&row[range.clone()]));
    let highest = highest.fold(NEVER, greatest);
    let mut sum = 0.0;
    let some = columns.iter().any(|range| !range.is_empty());
    for range in columns {
        let row = &mut row[range];
        for x in row.iter_mut() {
            *x = exp(*x - highest);
        }
        sum += sum_of(row, |x| x);
    }
    match some {
        false => (NEVER, 1.0),
        true if sum == 0.0 => (f32::NAN, f32::NAN),
        true => (highest + sum.ln(), sum),
    }
}

#[inline(always)]
fn highest_of(x: &[f32]) -> f32 {
    let mut lanes = [NEVER; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = greatest(*lane, *x);
        }
    }
    let highest = rest.iter().copied().fold(NEVER, greatest);
    lanes.into_iter().fold(highest, greatest)
}
