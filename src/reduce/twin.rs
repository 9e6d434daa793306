//! The CPU twins.

use super::fold::{ColumnParams, RowParams};
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
