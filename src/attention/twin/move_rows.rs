//! Rows made compact, and put back.

use super::orders::Orders;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

/// Rows of a task: fewer are not worth a thread.
const ROWS: usize = 64;

pub(in crate::attention) fn gather<R: Real>(args: &mut HostArgs<'_, R>) {
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

/// Calls `each(position, row of x, compact row)` for every open position of every head.
fn take_rows<R: Real>(
    orders: &Orders<'_>,
    is_query: bool,
    x: &[R],
    rows: &mut [R],
    each: impl Fn(usize, &[R], &mut [R]) + Sync,
) {
    let p = &orders.p;
    let (steps, stride, width) = (p.steps as usize, p.stride(), p.width as usize);
    rows.par_chunks_mut(steps * stride).enumerate().for_each(|(bh, rows)| {
        let order = if is_query { orders.queries(bh) } else { orders.keys(bh) };
        let open = &mut rows[..order.count() * stride];
        open.par_chunks_mut(ROWS * stride).enumerate().for_each(|(task, rows)| {
            for (i, row) in rows.chunks_exact_mut(stride).enumerate() {
                let s = order.position(task * ROWS + i);
                each(s, &x[(s * p.all_heads() + bh) * width..][..width], row);
            }
        });
    });
}

/// `y = factor x` turned by the angles `(cos, sin)`, times `sign`, if there are any.
fn turn<R: Real>(x: &[R], y: &mut [R], angles: &[R], half: usize, factor: R, sign: R) {
    if half == 0 {
        for (y, x) in y.iter_mut().zip(x) {
            *y = *x * factor;
        }
        return;
    }
    let (low, high) = x.split_at(half);
    let (y_low, y_high) = y.split_at_mut(half);
    let pairs = low.iter().zip(high).zip(angles.chunks_exact(2));
    for ((y_low, y_high), ((low, high), angle)) in y_low.iter_mut().zip(y_high).zip(pairs) {
        let (cos, sin) = (angle[0] * factor, angle[1] * factor * sign);
        *y_low = *low * cos - *high * sin;
        *y_high = *high * cos + *low * sin;
    }
}

pub(in crate::attention) fn scatter<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let is_keys = args.flag("KEYS");
    let half = if args.flag("TURN") { p.half as usize } else { 0 };
    let scaled = args.flag("SCALED");
    let factor = if scaled { R::lit(p.scale.into()) } else { R::one() };
    let (table, x, y) = (args.reals("table"), args.reals("x"), args.reals_mut("y"));
    let (stride, width, all_heads) = (p.stride(), p.width as usize, p.all_heads());
    y.par_chunks_mut(width * all_heads).enumerate().for_each(|(s, y)| {
        let mut sum = vec![R::zero(); stride];
        for (bh, y) in y.chunks_exact_mut(width).enumerate() {
            let order = if is_keys { orders.keys(bh) } else { orders.queries(bh) };
            let r = order.before(s);
            if order.before(s + 1) == r {
                y.fill(R::zero());
                continue;
            }
            sum.copy_from_slice(&x[(bh * p.steps as usize + r) * stride..][..stride]);
            if is_keys && s < p.anchors as usize {
                for segment in 0..p.segments as usize {
                    let part = (segment * all_heads + bh) * p.anchors as usize + r;
                    let part = &x[(p.rows() + part) * stride..][..stride];
                    sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += *x);
                }
            }
            let angles = &table[if half == 0 { 0 } else { s * 2 * half }..];
            turn(&sum[..width], y, angles, half, factor, -R::one());
        }
    });
}

pub(in crate::attention) fn delta<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let (o, go) = (args.reals("o"), args.reals("go"));
    let (rows, stats) = (args.reals_mut("go_rows"), args.reals_mut("stats"));
    take_rows(&orders, true, go, rows, |_, x, y| {
        let (row, padding) = y.split_at_mut(x.len());
        row.copy_from_slice(x);
        padding.fill(R::zero());
    });
    let (steps, stride) = (p.steps as usize, p.stride());
    let deltas = stats[p.rows()..].par_chunks_mut(steps);
    deltas.enumerate().for_each(|(bh, deltas)| {
        let count = orders.queries(bh).count();
        for (r, delta) in deltas.iter_mut().take(count).enumerate() {
            let at = (bh * steps + r) * stride;
            let pairs = o[at..][..stride].iter().zip(&rows[at..][..stride]);
            *delta = pairs.map(|(a, b)| *a * *b).sum();
        }
    });
}
