//! Softmax: row by row, or column by column with each column gathered first.

use crate::host::parallel::*;
use crate::host::{HostArgs, log_sum_exp, pairwise};
use crate::reduce::Extents;

/// Calls `row` with the elements of each row of some tensors of one shape, and a place for those of
/// the outcome.
fn by_rows<const N: usize>(
    p: &Extents,
    inputs: [&[f32]; N],
    y: &mut [f32],
    row: impl Fn([&[f32]; N], &mut [f32]) + Sync,
) {
    let (length, inner) = (p.length as usize, p.inner as usize);
    y.par_chunks_mut(length * inner).enumerate().for_each(|(o, y)| {
        let parts = inputs.map(|x| &x[o * length * inner..][..length * inner]);
        if inner == 1 {
            return row(parts, y);
        }
        let mut found = vec![0.0; length];
        for j in 0..inner {
            let column = |x: &[f32]| x[j..].iter().step_by(inner).copied().collect();
            let columns: [Vec<f32>; N] = parts.map(column);
            row(std::array::from_fn(|i| columns[i].as_slice()), &mut found);
            for (k, value) in found.iter().enumerate() {
                y[k * inner + j] = *value;
            }
        }
    });
}

pub(crate) fn softmax(args: &mut HostArgs<'_, f32>) {
    let p: Extents = args.params();
    let log = args.flag("LOG");
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    by_rows(&p, [x], y, |[x], y| {
        let (largest, sum) = log_sum_exp(x);
        let log_sum = sum.ln();
        for (y, x) in y.iter_mut().zip(x) {
            *y = if log { *x - largest - log_sum } else { (*x - largest).exp() / sum };
        }
    });
}

pub(crate) fn softmax_backward(args: &mut HostArgs<'_, f32>) {
    let p: Extents = args.params();
    let log = args.flag("LOG");
    let (y, g, gx) = (args.reals("y"), args.reals("g"), args.reals_mut("gx"));
    by_rows(&p, [y, g], gx, |[y, g], gx| {
        let sum = pairwise(0, y.len(), &|k| if log { g[k] } else { g[k] * y[k] });
        for ((gx, y), g) in gx.iter_mut().zip(y).zip(g) {
            *gx = if log { *g - y.exp() * sum } else { *y * (*g - sum) };
        }
    });
}
