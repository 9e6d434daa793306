//! The CPU twins.

use super::fold::{ColumnParams, RowParams};
use super::moment::Params as MomentParams;
use super::rate::Params as RateParams;
use super::rows::Extents;
use super::spread::Params as SpreadParams;
use crate::host::{HostArgs, Real};
use rayon::prelude::*;

/// A fold as the constants of its launch name it.
#[derive(Clone, Copy)]
struct How<R> {
    op: u32,
    term: u32,
    root: bool,
    divisor: R,
}

impl<R: Real> How<R> {
    fn of(args: &HostArgs<'_, R>, divisor: f32) -> Self {
        Self {
            op: args.constant("OP", 0),
            term: args.constant("TERM", 0),
            root: args.constant("ROOT", 0) == 1,
            divisor: R::lit(f64::from(divisor)),
        }
    }

    /// The term of element `i` of `x`, in output column `c`.
    fn term(&self, x: &[R], center: &[R], i: usize, c: usize) -> R {
        let square = |v: R| v * v;
        match self.term {
            0 => x[i],
            1 => square(x[i]),
            2 => square(x[i] - center[c]),
            _ => square(x[i] - center[i]),
        }
    }

    /// The fold of `count > 0` values.
    fn fold(&self, count: usize, value: &impl Fn(usize) -> R) -> R {
        match self.op {
            0 => pairwise(0, count, value),
            1 => (1..count).fold(value(0), |m, k| m.max(value(k))),
            _ => (1..count).fold(value(0), |m, k| m.min(value(k))),
        }
    }

    fn finish(&self, total: R) -> R {
        let y = total / self.divisor;
        if self.root { y.sqrt() } else { y }
    }
}

/// The sum of `value(first .. end)`, by halves.
pub(crate) fn pairwise<R: Real>(first: usize, end: usize, value: &impl Fn(usize) -> R) -> R {
    if end - first <= 32 {
        return (first..end).map(value).sum();
    }
    let middle = first + (end - first) / 2;
    pairwise(first, middle, value) + pairwise(middle, end, value)
}

pub(super) fn reduce_rows<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RowParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let (length, splits, chunk) = (p.length as usize, p.splits as usize, p.chunk as usize);
    y.par_iter_mut().enumerate().for_each(|(out, y)| {
        let (o, first) = (out / splits, out % splits * chunk);
        let count = chunk.min(length - first);
        let value = |k: usize| how.term(x, center, o * length + first + k, o);
        *y = how.finish(how.fold(count, &value));
    });
}

pub(super) fn reduce_columns<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ColumnParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let (length, inner) = (p.length as usize, p.inner as usize);
    let (splits, chunk) = (p.splits as usize, p.chunk as usize);
    y.par_iter_mut().enumerate().for_each(|(out, y)| {
        let (o, s, j) = (out / inner / splits, out / inner % splits, out % inner);
        let (first, step, count) = if p.interleaved == 1 {
            (s, splits, (length - s).div_ceil(splits))
        } else {
            (s * chunk, 1, chunk.min(length - s * chunk))
        };
        let at = |k: usize| (o * length + first + k * step) * inner + j;
        let value = |k: usize| how.term(x, center, at(k), o * inner + j);
        *y = how.finish(how.fold(count, &value));
    });
}

pub(super) fn spread<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SpreadParams = args.params();
    let (x, y) = (args.reals(0), args.reals_mut(1));
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    y.par_chunks_mut(inner).enumerate().for_each(|(row, y)| {
        let from = &x[row / p.length as usize * inner..][..inner];
        for (y, x) in y.iter_mut().zip(from) {
            *y = *x / divisor;
        }
    });
}

/// Where row `row` of `[outer, length, inner]` starts.
fn row_start(p: &Extents, row: usize) -> usize {
    let inner = p.inner as usize;
    row / inner * p.length as usize * inner + row % inner
}

pub(super) fn extremum<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let min = args.constant("MIN", 0) == 1;
    let (x, y) = (args.reals(0), args.words_mut(1));
    y.par_iter_mut().enumerate().for_each(|(row, y)| {
        let value = |k: u32| x[row_start(&p, row) + (k * p.inner) as usize];
        let better = |a: R, b: R| if min { a < b } else { a > b };
        *y = (1..p.length).fold(0, |best, k| if better(value(k), value(best)) { k } else { best });
    });
}

pub(super) fn place_back<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let (x, index, y) = (args.reals(0), args.words(1), args.reals_mut(2));
    let inner = p.inner as usize;
    y.par_chunks_mut(inner).enumerate().for_each(|(line, y)| {
        let (o, k) = (line / p.length as usize, line % p.length as usize);
        for (j, y) in y.iter_mut().enumerate() {
            let here = index[o * inner + j] as usize == k;
            *y = if here { x[o * inner + j] } else { R::zero() };
        }
    });
}

pub(super) fn moment_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MomentParams = args.params();
    let norm = args.constant("NORM", 0) == 1;
    let (x, m, g, gx) = (args.reals(0), args.reals(1), args.reals(2), args.reals_mut(3));
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    gx.par_chunks_mut(inner).enumerate().for_each(|(line, gx)| {
        let o = line / p.length as usize;
        for (j, gx) in gx.iter_mut().enumerate() {
            let (x, m, g) = (x[line * inner + j], m[o * inner + j], g[o * inner + j]);
            *gx = match norm {
                false => (x - m) * g / divisor,
                true if m > R::zero() => x / m * g,
                true => R::zero(),
            };
        }
    });
}

/// Calls `row` with the elements of each row of some tensors of one shape, and scatters what it
/// gives.
fn by_rows<R: Real>(
    p: &Extents,
    inputs: &[&[R]],
    y: &mut [R],
    row: impl Fn(&[Vec<R>]) -> Vec<R> + Sync,
) {
    let (length, inner) = (p.length as usize, p.inner as usize);
    y.par_chunks_mut(length * inner).enumerate().for_each(|(o, y)| {
        for j in 0..inner {
            let at = |k: usize| (o * length + k) * inner + j;
            let rows = inputs.iter().map(|x| (0..length).map(|k| x[at(k)]).collect());
            let found = row(&rows.collect::<Vec<_>>());
            for (k, value) in found.into_iter().enumerate() {
                y[k * inner + j] = value;
            }
        }
    });
}

pub(super) fn softmax<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.constant("LOG", 0) == 1;
    let (x, y) = (args.reals(0), args.reals_mut(1));
    by_rows(&p, &[x], y, |rows| {
        let (largest, sum) = log_sum_exp(&rows[0]);
        let value = |x: &R| match log {
            true => *x - largest - sum.ln(),
            false => (*x - largest).exp() / sum,
        };
        rows[0].iter().map(value).collect()
    });
}

/// The largest element, and the sum of exponentials relative to it.
pub(crate) fn log_sum_exp<R: Real>(x: &[R]) -> (R, R) {
    let largest = x.iter().fold(x[0], |m, v| m.max(*v));
    (largest, pairwise(0, x.len(), &|k| (x[k] - largest).exp()))
}

pub(super) fn softmax_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.constant("LOG", 0) == 1;
    let (y, g, gx) = (args.reals(0), args.reals(1), args.reals_mut(2));
    by_rows(&p, &[y, g], gx, |rows| {
        let (y, g) = (&rows[0], &rows[1]);
        let sum = pairwise(0, y.len(), &|k| if log { g[k] } else { g[k] * y[k] });
        let value = |(y, g): (&R, &R)| if log { *g - y.exp() * sum } else { *y * (*g - sum) };
        y.iter().zip(g).map(value).collect()
    });
}

pub(super) fn rate_bits<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateParams = args.params();
    let (x, y) = (args.words(0), args.reals_mut(1));
    let columns = p.columns as usize;
    y.par_iter_mut().enumerate().for_each(|(n, y)| {
        let count: u32 = (0..p.steps.div_ceil(32) as usize)
            .map(|w| x[w * columns + n])
            .map(|w| w.count_ones())
            .sum();
        *y = R::lit(f64::from(count)) / R::lit(f64::from(p.divisor));
    });
}
