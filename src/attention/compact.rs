//! Rows made compact.

use super::orders::Orders;
use crate::host::Real;
use crate::host::parallel::*;

/// Rows of a task: fewer are not worth a thread.
const ROWS: usize = 64;

/// Calls `each(position, row of x, compact row)` for every open position of every head.
pub(super) fn take_rows<R: Real>(
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
pub(super) fn turn<R: Real>(x: &[R], y: &mut [R], angles: &[R], half: usize, factor: R, sign: R) {
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
