//! The CPU twins.

use super::fold::{ColumnParams, RowParams};
use super::moment::Params as MomentParams;
use super::rate::Params as RateParams;
use super::rows::Extents;
use super::spread::Params as SpreadParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, above, difference_times, greatest, keep_nan, least};

/// A fold as the constants of its launch name it.
#[derive(Clone, Copy)]
struct How<R> {
    op: u32,
    term: u32,
    root: bool,
    divisor: R,
    /// What elements are multiplied with.
    by: R,
}

impl<R: Real> How<R> {
    fn of(args: &HostArgs<'_, R>, divisor: f32) -> Self {
        Self {
            op: args.constant_or("OP", 0),
            term: args.constant_or("TERM", 0),
            root: args.constant_or("ROOT", 0) == 1,
            divisor: R::lit(f64::from(divisor)),
            by: R::one(),
        }
    }

    /// Adds row `at .. at + lanes.len()` of `x` to what is folded in `lanes`. `c` is where the
    /// row's center starts.
    fn take(&self, lanes: &mut [R], x: &[R], center: &[R], at: usize, c: usize) {
        let width = lanes.len();
        let x = &x[at..at + width];
        let by = self.by;
        let square = |v: R| v * v;
        match self.term {
            0 => self.fold(lanes, x.iter().map(|x| *x * by)),
            1 => self.fold(lanes, x.iter().map(|x| square(*x * by))),
            2 => {
                let center = &center[c..c + width];
                self.fold(lanes, x.iter().zip(center).map(|(x, m)| square(*x * by - *m * by)));
            }
            _ => {
                let other = &center[at..at + width];
                self.fold(lanes, x.iter().zip(other).map(|(x, m)| square(*x * by - *m * by)));
            }
        }
    }

    fn fold(&self, lanes: &mut [R], terms: impl Iterator<Item = R>) {
        let both = lanes.iter_mut().zip(terms);
        match self.op {
            0 => both.for_each(|(y, v)| *y += v),
            1 => both.for_each(|(y, v)| *y = greatest(v, *y)),
            _ => both.for_each(|(y, v)| *y = least(v, *y)),
        }
    }

    fn start(&self) -> R {
        match self.op {
            0 => R::zero(),
            1 => R::neg_infinity(),
            _ => R::infinity(),
        }
    }

    /// Folds `count` rows, `row(k)` giving where row `k` starts and where its center does, in blocks
    /// of 32, into `y`.
    fn rows(
        &self,
        y: &mut [R],
        x: &[R],
        center: &[R],
        count: usize,
        row: &dyn Fn(usize) -> (usize, usize),
    ) {
        let mut block = vec![self.start(); y.len()];
        y.fill(self.start());
        for first in (0..count).step_by(32) {
            block.fill(self.start());
            for k in first..count.min(first + 32) {
                let (at, c) = row(k);
                self.take(&mut block, x, center, at, c);
            }
            self.fold(y, block.iter().copied());
        }
        for (j, y) in y.iter_mut().enumerate() {
            let by = self.second_look(*y);
            if by == R::one() {
                *y = self.finish(*y);
            } else {
                let beside = |k: usize| (row(k).0 + j, row(k).1 + j);
                Self { by, ..*self }.rows(std::slice::from_mut(y), x, center, count, &beside);
            }
        }
    }

    /// What elements are to be multiplied with where their sum left the range of f32
    /// (`shared/second_look.wgsl`); 1 where it did not, or this is that look.
    fn second_look(&self, sum: R) -> R {
        let power = |e: i32| R::lit(2f64.powi(e));
        let beyond = !sum.is_finite();
        match () {
            () if self.op != 0 || self.by != R::one() => R::one(),
            () if self.root && beyond => power(-80),
            () if self.root && sum < power(-100) => power(100),
            () if self.root || self.divisor == R::one() || !beyond => R::one(),
            () => {
                let exponent = self.divisor.log2().floor().f64() as i32 + 1;
                power(if self.term == 0 { -exponent } else { -(exponent + 1) / 2 })
            }
        }
    }

    /// The fold of `count` neighbours from `at` on, all with the center at `c`: 16 lanes wide.
    fn run(&self, x: &[R], center: &[R], at: usize, count: usize, c: usize) -> R {
        const LANES: usize = 16;
        let centers = [center.get(c).copied().unwrap_or_default(); LANES];
        let (center, c) = if self.term == 2 { (centers.as_slice(), 0) } else { (center, c) };
        let mut total = [self.start(); LANES];
        for first in (0..count).step_by(32 * LANES) {
            let mut block = [self.start(); LANES];
            let end = count.min(first + 32 * LANES);
            for k in (first..end).step_by(LANES) {
                let width = LANES.min(end - k);
                self.take(&mut block[..width], x, center, at + k, c);
            }
            self.fold(&mut total, block.into_iter());
        }
        let mut y = [self.start()];
        total.iter().for_each(|v| self.fold(&mut y, std::iter::once(*v)));
        let by = self.second_look(y[0]);
        if by != R::one() {
            return Self { by, ..*self }.run(x, center, at, count, c);
        }
        self.finish(y[0])
    }

    fn finish(&self, total: R) -> R {
        if self.root {
            return (total / self.divisor).sqrt() / self.by;
        }
        total / (self.divisor * self.by * if self.term == 0 { R::one() } else { self.by })
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

/// The sum of `term` over slices of one length, in 16 chains side by side: as wide as vectors are.
#[inline(always)]
pub(crate) fn lane_sum<R: Real, const N: usize>(x: [&[R]; N], term: impl Fn([R; N]) -> R) -> R {
    const LANES: usize = 16;
    let length = x[0].len();
    let full = length - length % LANES;
    let mut lanes = [R::zero(); LANES];
    for at in (0..full).step_by(LANES) {
        let block = x.map(|x| &x[at..at + LANES]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(block.map(|b| b[lane]));
        }
    }
    let rest: R = (full..length).map(|i| term(x.map(|x| x[i]))).sum();
    lanes.into_iter().sum::<R>() + rest
}

/// The largest `term`, which is not negative, likewise; a NaN is none.
#[inline(always)]
pub(crate) fn lane_max<R: Real>(x: &[R], term: impl Fn(R) -> R) -> R {
    const LANES: usize = 16;
    let mut lanes = [R::zero(); LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    let most = |a: R, b: R| if b > a { b } else { a };
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, x)| *lane = most(*lane, term(*x)));
    }
    let rest = rest.iter().fold(R::zero(), |a, x| most(a, term(*x)));
    lanes.into_iter().fold(rest, most)
}

pub(super) fn reduce_rows<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RowParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let (length, splits, chunk) = (p.length as usize, p.splits as usize, p.chunk as usize);
    y.par_iter_mut().enumerate().for_each(|(out, y)| {
        let (o, first) = (out / splits, out % splits * chunk);
        *y = how.run(x, center, o * length + first, chunk.min(length - first), o);
    });
}

/// Columns that one task folds side by side.
const SIDE: usize = 512;

pub(super) fn reduce_columns<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ColumnParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let (length, inner) = (p.length as usize, p.inner as usize);
    let (splits, chunk) = (p.splits as usize, p.chunk as usize);
    y.par_chunks_mut(inner).enumerate().for_each(|(out, y)| {
        let (o, s) = (out / splits, out % splits);
        let (first, step, count) = if p.interleaved == 1 {
            (s, splits, (length - s).div_ceil(splits))
        } else {
            (s * chunk, 1, chunk.min(length - s * chunk))
        };
        if inner == 1 && step == 1 {
            y[0] = how.run(x, center, o * length + first, count, o);
            return;
        }
        y.par_chunks_mut(SIDE).enumerate().for_each(|(side, y)| {
            let j = side * SIDE;
            let row = |k: usize| ((o * length + first + k * step) * inner + j, o * inner + j);
            how.rows(y, x, center, count, &row);
        });
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
    let min = args.constant_or("MIN", 0) == 1;
    let (x, y) = (args.reals(0), args.words_mut(1));
    y.par_iter_mut().enumerate().for_each(|(row, y)| {
        let value = |k: u32| x[row_start(&p, row) + (k * p.inner) as usize];
        let better = |a: R, b: R| if min { above(-a, -b) } else { above(a, b) };
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
    let norm = args.constant_or("NORM", 0) == 1;
    let (x, m, g, gx) = (args.reals(0), args.reals(1), args.reals(2), args.reals_mut(3));
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    gx.par_chunks_mut(inner).enumerate().for_each(|(line, gx)| {
        let o = line / p.length as usize;
        for (j, gx) in gx.iter_mut().enumerate() {
            let (x, m, g) = (x[line * inner + j], m[o * inner + j], g[o * inner + j]);
            *gx = match norm {
                false => difference_times(x, m, g / divisor),
                true if m > R::zero() => x / m * g,
                true => keep_nan(m, R::zero()),
            };
        }
    });
}

/// Calls `row` with the elements of each row of some tensors of one shape, and a place for those of
/// the outcome.
fn by_rows<R: Real, const N: usize>(
    p: &Extents,
    inputs: [&[R]; N],
    y: &mut [R],
    row: impl Fn([&[R]; N], &mut [R]) + Sync,
) {
    let (length, inner) = (p.length as usize, p.inner as usize);
    y.par_chunks_mut(length * inner).enumerate().for_each(|(o, y)| {
        let parts = inputs.map(|x| &x[o * length * inner..][..length * inner]);
        if inner == 1 {
            return row(parts, y);
        }
        let mut found = vec![R::zero(); length];
        for j in 0..inner {
            let column = |x: &[R]| x[j..].iter().step_by(inner).copied().collect();
            let columns: [Vec<R>; N] = parts.map(column);
            row(std::array::from_fn(|i| columns[i].as_slice()), &mut found);
            for (k, value) in found.iter().enumerate() {
                y[k * inner + j] = *value;
            }
        }
    });
}

pub(super) fn softmax<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.constant_or("LOG", 0) == 1;
    let (x, y) = (args.reals(0), args.reals_mut(1));
    by_rows(&p, [x], y, |[x], y| {
        let (largest, sum) = log_sum_exp(x);
        let log_sum = sum.ln();
        for (y, x) in y.iter_mut().zip(x) {
            *y = if log { *x - largest - log_sum } else { (*x - largest).exp() / sum };
        }
    });
}

/// The largest element, and the sum of exponentials relative to it.
pub(crate) fn log_sum_exp<R: Real>(x: &[R]) -> (R, R) {
    let largest = x.iter().fold(x[0], |m, v| greatest(m, *v));
    (largest, pairwise(0, x.len(), &|k| (x[k] - largest).exp()))
}

pub(super) fn softmax_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.constant_or("LOG", 0) == 1;
    let (y, g, gx) = (args.reals(0), args.reals(1), args.reals_mut(2));
    by_rows(&p, [y, g], gx, |[y, g], gx| {
        let sum = pairwise(0, y.len(), &|k| if log { g[k] } else { g[k] * y[k] });
        for ((gx, y), g) in gx.iter_mut().zip(y).zip(g) {
            *gx = if log { *g - y.exp() * sum } else { *y * (*g - sum) };
        }
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
