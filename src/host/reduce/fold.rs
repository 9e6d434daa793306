//! Folds: side by side in vector lanes, in blocks that keep the rounding small.

use crate::host::parallel::*;
use crate::host::{HostArgs, greatest, least};
use crate::reduce::{ColumnParams, RowParams};

/// A fold as the constants of its launch name it.
#[derive(Clone, Copy)]
struct How {
    op: u32,
    term: u32,
    root: bool,
    divisor: f32,
    /// What elements are multiplied with.
    by: f32,
}

impl How {
    fn of(args: &HostArgs<'_, f32>, divisor: f32) -> Self {
        Self {
            op: args.constant("OP"),
            term: args.constant("TERM"),
            root: args.flag("ROOT"),
            divisor,
            by: 1.0,
        }
    }

    /// Adds row `at .. at + lanes.len()` of `x` to what is folded in `lanes`. `c` is where the
    /// row's center starts.
    fn take(&self, lanes: &mut [f32], x: &[f32], center: &[f32], at: usize, c: usize) {
        let width = lanes.len();
        let x = &x[at..at + width];
        let by = self.by;
        let square = |v: f32| v * v;
        // What shrinks comes before a difference, what enlarges after it.
        let (down, up) = (by.min(1.0), by.max(1.0));
        let apart = |x: f32, m: f32| square((x * down - m * down) * up);
        match self.term {
            0 => self.fold(lanes, x.iter().map(|x| *x * by)),
            1 => self.fold(lanes, x.iter().map(|x| square(*x * by))),
            2 => {
                let center = &center[c..c + width];
                self.fold(lanes, x.iter().zip(center).map(|(x, m)| apart(*x, *m)));
            }
            _ => {
                let other = &center[at..at + width];
                self.fold(lanes, x.iter().zip(other).map(|(x, m)| apart(*x, *m)));
            }
        }
    }

    fn fold(&self, lanes: &mut [f32], terms: impl Iterator<Item = f32>) {
        let both = lanes.iter_mut().zip(terms);
        match self.op {
            0 => both.for_each(|(y, v)| *y += v),
            1 => both.for_each(|(y, v)| *y = greatest(v, *y)),
            _ => both.for_each(|(y, v)| *y = least(v, *y)),
        }
    }

    fn start(&self) -> f32 {
        match self.op {
            0 => 0.0,
            1 => f32::NEG_INFINITY,
            _ => f32::INFINITY,
        }
    }

    /// Folds `count` rows, `row(k)` giving where row `k` starts and where its center does, in blocks
    /// of 32, into `y`.
    fn rows(
        &self,
        y: &mut [f32],
        x: &[f32],
        center: &[f32],
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
            if by == 1.0 {
                *y = self.finish(*y);
            } else {
                let beside = |k: usize| (row(k).0 + j, row(k).1 + j);
                Self { by, ..*self }.rows(std::slice::from_mut(y), x, center, count, &beside);
            }
        }
    }

    /// What elements are to be multiplied with where their sum left the range of f32
    /// (`shared/second_look.wgsl`); 1 where it did not, or this is that look.
    fn second_look(&self, sum: f32) -> f32 {
        let power = |e: i32| 2f32.powi(e);
        let beyond = !sum.is_finite();
        match () {
            () if self.op != 0 || self.by != 1.0 => 1.0,
            () if self.root && beyond => power(-80),
            () if self.root && sum < power(-100) => power(100),
            () if self.root || self.divisor == 1.0 || !beyond => 1.0,
            () => {
                let exponent = self.divisor.log2().floor() as i32 + 1;
                power(if self.term == 0 { -exponent } else { -(exponent + 1) / 2 })
            }
        }
    }

    /// The fold of `count` neighbours from `at` on, all with the center at `c`: 16 lanes wide.
    fn run(&self, x: &[f32], center: &[f32], at: usize, count: usize, c: usize) -> f32 {
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
        if by != 1.0 {
            return Self { by, ..*self }.run(x, center, at, count, c);
        }
        self.finish(y[0])
    }

    fn finish(&self, total: f32) -> f32 {
        if self.root {
            return (total / self.divisor).sqrt() / self.by;
        }
        total / (self.divisor * self.by * if self.term == 0 { 1.0 } else { self.by })
    }
}

pub(crate) fn reduce_rows(args: &mut HostArgs<'_, f32>) {
    let p: RowParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals("x"), args.reals("center"), args.reals_mut("y"));
    let (length, splits, chunk) = (p.length as usize, p.splits as usize, p.chunk as usize);
    y.par_iter_mut().enumerate().for_each(|(out, y)| {
        let (o, first) = (out / splits, out % splits * chunk);
        *y = how.run(x, center, o * length + first, chunk.min(length - first), o);
    });
}

/// Columns that one task folds side by side.
const SIDE: usize = 512;

pub(crate) fn reduce_columns(args: &mut HostArgs<'_, f32>) {
    let p: ColumnParams = args.params();
    let how = How::of(args, p.divisor);
    let (x, center, y) = (args.reals("x"), args.reals("center"), args.reals_mut("y"));
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
