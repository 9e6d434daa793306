//! The twin of `attention_forward`.

use super::block::{BLOCK, Rows, Seen, TASK, Turned, clear_between};
use super::orders::Orders;
use super::product::{LANES, Matrix, Vectorised, add_product, vectorise};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, exp, greatest, sum_of};

/// Stands for the logarithm of an empty sum.
const NEVER: f64 = f32::MIN as f64;

pub(in crate::attention) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
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
struct Task<'a, R> {
    orders: &'a Orders<'a>,
    bh: usize,
    first: usize,
    /// Rows of the head.
    q: &'a [R],
    k: &'a Turned<R>,
    v: Rows<'a, R>,
    /// Rows of the task.
    o: &'a mut [R],
    lse: &'a mut [R],
}

impl<R: Real> Vectorised for Task<'_, R> {
    #[inline(always)]
    fn run<const FUSED: bool>(&mut self) {
        let d = self.orders.p.stride();
        let mut scores = Vec::new();
        let blocks = self.o.chunks_mut(BLOCK * d).zip(self.lse.chunks_mut(BLOCK));
        for (block, (o, lse)) in blocks.enumerate() {
            let first = self.first + block * BLOCK;
            let rows = lse.len();
            let seen = Seen::new(self.orders, self.bh, first..first + rows);
            scores.clear();
            scores.resize(rows * seen.stride, R::zero());
            let q = Matrix { data: &self.q[first * d..], stride: d };
            for ((key, count), start) in seen.parts.into_iter().zip(seen.starts()) {
                let k = Matrix { data: self.k.from(self.bh, key), stride: self.k.stride };
                let size = [rows, d, count.next_multiple_of(LANES)];
                add_product::<R, FUSED>(
                    size,
                    q,
                    k,
                    &mut scores[start.min(rows * seen.stride)..],
                    seen.stride,
                );
            }
            o.fill(R::zero());
            let mut sums = [R::one(); BLOCK];
            for (i, lse) in lse.iter_mut().enumerate() {
                let row = &mut scores[i * seen.stride..][..seen.stride];
                (*lse, sums[i]) = softmax(row, &seen, i);
            }
            seen.add_rows::<R, FUSED>(&scores, self.v, o);
            for (o, sum) in o.chunks_exact_mut(d).zip(sums) {
                let factor = R::one() / sum;
                o.iter_mut().for_each(|o| *o *= factor);
            }
        }
    }
}

/// Turns scores into exponentials of what they are below the highest, zero where a key is not seen.
/// Gives the logarithm of their sum, and the sum (1 if no key is seen; NaN where all scores are
/// -infinity).
#[inline(always)]
fn softmax<R: Real>(row: &mut [R], seen: &Seen, i: usize) -> (R, R) {
    let columns = seen.columns(i);
    clear_between(row, &columns);
    let highest = columns.iter().map(|range| highest_of(&row[range.clone()]));
    let highest = highest.fold(R::lit(NEVER), greatest);
    let mut sum = R::zero();
    let some = columns.iter().any(|range| !range.is_empty());
    for range in columns {
        let row = &mut row[range];
        for x in row.iter_mut() {
            *x = exp(*x - highest);
        }
        sum += sum_of(row, |x| x);
    }
    match some {
        false => (R::lit(NEVER), R::one()),
        true if sum == R::zero() => (R::nan(), R::nan()),
        true => (highest + sum.ln(), sum),
    }
}

#[inline(always)]
fn highest_of<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::lit(NEVER); LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = greatest(*lane, *x);
        }
    }
    let highest = rest.iter().copied().fold(R::lit(NEVER), greatest);
    lanes.into_iter().fold(highest, greatest)
}
