//! The CPU twins.

use super::backward::{Params as BackwardParams, PartParams};
use super::forward::Params;
use super::weight_norm::Params as WeightParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, to_middle, vectorised};
use crate::reduce::{lane_max, lane_sum};

/// Elements that one task takes: whole rows, at least this many elements.
const TASK: usize = 1 << 13;

/// Rows of `length` elements that make a task.
fn task_rows(length: usize) -> usize {
    TASK.div_ceil(length.max(1))
}

/// The element that a row's mean is counted from.
#[inline(always)]
fn pivot<R: Real>(row: &[R], rms: bool) -> R {
    if rms { R::zero() } else { row[0] }
}

/// A row as it is normalised: less its pivot, times a power of two (`shared/deviation.wgsl`).
#[derive(Clone, Copy)]
struct Scaled<R> {
    down: R,
    up: R,
    pivot: R,
}

impl<R: Real> Scaled<R> {
    #[inline(always)]
    fn new(pivot: R, factor: R) -> Self {
        let down = factor.min(R::one());
        Self { down, up: factor.max(R::one()), pivot: pivot * down }
    }

    #[inline(always)]
    fn deviation(&self, x: R) -> R {
        (x * self.down - self.pivot) * self.up
    }
}

/// A row as forward left it.
#[derive(Clone, Copy)]
struct Normal<R> {
    row: Scaled<R>,
    shift: R,
    q: R,
    s: R,
}

impl<R: Real> Normal<R> {
    /// From its statistics.
    #[inline(always)]
    fn new(x: &[R], stats: &[R], rms: bool) -> Self {
        let row = Scaled::new(pivot(x, rms), stats[2]);
        Self { row, shift: stats[0], q: stats[1], s: stats[2] }
    }

    #[inline(always)]
    fn at(&self, x: R) -> R {
        (self.row.deviation(x) - self.shift) * self.q
    }
}

pub(super) fn norm_forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (rms, with_bias) = (args.constant_or("RMS", 0) == 1, args.constant_or("BIAS", 0) == 1);
    let (x, gain, bias) = (args.reals(0), args.reals(1), args.reals(2));
    let (y, stats) = (args.reals_mut(3), args.reals_mut(4));
    let length = p.length as usize;
    let bias = with_bias.then_some(&bias[..length]);
    let eps = R::lit(f64::from(p.eps));
    let row = Row { gain: &gain[..length], bias, eps, rms };
    let rows = task_rows(length);
    let tasks = y.par_chunks_mut(rows * length).zip(stats.par_chunks_mut(3 * rows));
    if args.slots.len() <= 5 {
        tasks.zip(x.par_chunks(rows * length)).for_each(|((y, stats), x)| {
            let rows = y.chunks_exact_mut(length).zip(x.chunks_exact(length));
            rows.zip(stats.chunks_exact_mut(3)).for_each(|((y, x), s)| row.normalise(x, y, s));
        });
        return;
    }
    let (residual, total) = (args.reals(5), args.reals_mut(6));
    let inputs = x.par_chunks(rows * length).zip(residual.par_chunks(rows * length));
    let inputs = inputs.zip(total.par_chunks_mut(rows * length));
    tasks.zip(inputs).for_each(|((y, stats), ((x, residual), total))| {
        total.iter_mut().zip(x.iter().zip(residual)).for_each(|(t, (x, r))| *t = *x + *r);
        let rows = y.chunks_exact_mut(length).zip(total.chunks_exact(length));
        rows.zip(stats.chunks_exact_mut(3)).for_each(|((y, x), s)| row.normalise(x, y, s));
    });
}

/// What all rows share.
struct Row<'a, R> {
    gain: &'a [R],
    bias: Option<&'a [R]>,
    eps: R,
    rms: bool,
}

impl<R: Real> Row<'_, R> {
    fn normalise(&self, x: &[R], y: &mut [R], stats: &mut [R]) {
        vectorised(
            #[inline(always)]
            || self.loops(x, y, stats),
        );
    }

    #[inline(always)]
    fn loops(&self, x: &[R], y: &mut [R], stats: &mut [R]) {
        let n = R::lit(x.len() as f64);
        let (pivot, half) = (pivot(x, self.rms), R::lit(0.5));
        // Half a deviation is a number, whatever the row.
        let size = lane_max(x, |x| (half * x - half * pivot).abs());
        let s = to_middle(size.max(half * self.eps.sqrt()));
        let row = Scaled::new(pivot, s);
        let mean = || lane_sum([x], |[x]| row.deviation(x)) / n;
        let shift = if self.rms { R::zero() } else { mean() };
        let squares = lane_sum([x], |[x]| {
            let v = row.deviation(x) - shift;
            v * v
        });
        let root = self.eps.sqrt() * s;
        let eps = if s == R::one() { self.eps } else { root * root };
        let q = (squares / n + eps).sqrt().recip();
        stats.copy_from_slice(&[shift, q, s]);
        let normal = Normal { row, shift, q, s };
        let scaled = y.iter_mut().zip(x.iter().zip(self.gain));
        scaled.for_each(|(y, (x, gain))| *y = normal.at(*x) * *gain);
        if let Some(bias) = self.bias {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
        }
    }
}

pub(super) fn norm_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BackwardParams = args.params();
    let rms = args.constant_or("RMS", 0) == 1;
    let (x, gain, stats, g) = (args.reals(0), args.reals(1), args.reals(2), args.reals(3));
    let gx = args.reals_mut(4);
    let length = p.length as usize;
    let gain = &gain[..length];
    let rows = task_rows(length);
    gx.par_chunks_mut(rows * length).enumerate().for_each(|(task, gx)| {
        for (k, gx) in gx.chunks_exact_mut(length).enumerate() {
            let r = task * rows + k;
            let (x, g) = (&x[r * length..][..length], &g[r * length..][..length]);
            vectorised(
                #[inline(always)]
                || backward_row(Normal::new(x, &stats[3 * r..], rms), [x, gain, g], gx, rms),
            );
        }
    });
}

#[inline(always)]
fn backward_row<R: Real>(normal: Normal<R>, [x, gain, g]: [&[R]; 3], gx: &mut [R], rms: bool) {
    let n = R::lit(x.len() as f64);
    let sized = |gx: &mut [R], t: R| {
        gx.iter_mut().zip(g.iter().zip(gain)).for_each(|(h, (g, gain))| *h = t * *g * *gain);
    };
    sized(gx, R::one());
    // Sums of numbers beyond the middle would leave the range of f32.
    let t = to_middle(lane_max(gx, |h| h.abs())).min(R::one());
    if t != R::one() {
        sized(gx, t);
    }
    let plain = if rms { R::zero() } else { lane_sum([gx], |[h]| h) / n };
    let along = lane_sum([gx, x], |[h, x]| h * normal.at(x)) / n;
    let (q, s, back) = (normal.q, normal.s, t.recip());
    gx.iter_mut().zip(x).for_each(|(h, x)| {
        let v = q * (*h - plain - normal.at(*x) * along);
        *h = if s < R::one() { v * (s * back) } else { v * s * back };
    });
}

pub(super) fn norm_parameters<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartParams = args.params();
    let (rms, with_bias) = (args.constant_or("RMS", 0) == 1, args.constant_or("BIAS", 0) == 1);
    let (x, stats, g) = (args.reals(0), args.reals(1), args.reals(2));
    let (of_gain, of_bias) = (args.reals_mut(3), args.reals_mut(4));
    let (rows, length, chunk) = (p.rows as usize, p.length as usize, p.chunk as usize);
    let piece = |s: usize| (s * chunk..rows.min((s + 1) * chunk)).map(|r| (r, r * length));
    of_gain.par_chunks_mut(length).enumerate().for_each(|(s, sums)| {
        sums.fill(R::zero());
        for (r, at) in piece(s) {
            let (x, g) = (&x[at..][..length], &g[at..][..length]);
            let normal = Normal::new(x, &stats[3 * r..], rms);
            let terms = x.iter().zip(g);
            sums.iter_mut().zip(terms).for_each(|(s, (x, g))| *s += *g * normal.at(*x));
        }
    });
    if with_bias {
        of_bias.par_chunks_mut(length).enumerate().for_each(|(s, sums)| {
            sums.fill(R::zero());
            for (_, at) in piece(s) {
                sums.iter_mut().zip(&g[at..][..length]).for_each(|(s, g)| *s += *g);
            }
        });
    }
}

pub(super) fn weight_norm<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WeightParams = args.params();
    let columns = p.columns as usize;
    let (v, length) = (args.reals(0), args.reals(1));
    let (w, norm) = (args.reals_mut(2), args.reals_mut(3));
    let (norm, scale) = norm.split_at_mut(columns);
    scale.fill(R::zero());
    for row in v.chunks_exact(columns) {
        scale.iter_mut().zip(row).for_each(|(size, v)| *size = size.max(v.abs()));
    }
    scale.iter_mut().for_each(|size| *size = to_middle(*size));
    norm.fill(R::zero());
    for row in v.chunks_exact(columns) {
        let scaled = row.iter().zip(&*scale).map(|(v, s)| *v * *s);
        norm.iter_mut().zip(scaled).for_each(|(sum, v)| *sum += v * v);
    }
    norm.iter_mut().for_each(|norm| *norm = norm.sqrt());
    for (w, v) in w.chunks_exact_mut(columns).zip(v.chunks_exact(columns)) {
        for (n, (w, v)) in w.iter_mut().zip(v).enumerate() {
            // A column of zeros stays one.
            let norm = if norm[n] == R::zero() { R::one() } else { norm[n] };
            *w = *v * scale[n] / norm * length[n];
        }
    }
}

pub(super) fn weight_norm_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WeightParams = args.params();
    let columns = p.columns as usize;
    let (v, length, norm, g) = (args.reals(0), args.reals(1), args.reals(2), args.reals(3));
    let (gv, of_length) = (args.reals_mut(4), args.reals_mut(5));
    let (norm, scale) = norm.split_at(columns);
    // Where the norm is 0 there is no direction to turn.
    let inverse_of = |norm: R| if norm == R::zero() { norm } else { norm.recip() };
    let unit = |v: R, n: usize| v * scale[n] * inverse_of(norm[n]);
    of_length.fill(R::zero());
    for (v, g) in v.chunks_exact(columns).zip(g.chunks_exact(columns)) {
        for (n, (v, g)) in v.iter().zip(g).enumerate() {
            of_length[n] += unit(*v, n) * *g;
        }
    }
    for (row, gv) in gv.chunks_exact_mut(columns).enumerate() {
        for (n, gv) in gv.iter_mut().enumerate() {
            let at = row * columns + n;
            let across = g[at] - of_length[n] * unit(v[at], n);
            *gv = length[n] * inverse_of(norm[n]) * across * scale[n];
        }
    }
}
