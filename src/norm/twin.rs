//! The CPU twins.

use super::backward::{Params as BackwardParams, PartParams};
use super::forward::Params;
use super::weight_norm::Params as WeightParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, vectorised};
use crate::reduce::lane_sum;

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

pub(super) fn norm_forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (rms, with_bias) = (args.constant_or("RMS", 0) == 1, args.constant_or("BIAS", 0) == 1);
    let (x, gain, bias) = (args.reals(0), args.reals(1), args.reals(2));
    let (y, stats) = (args.reals_mut(3), args.reals_mut(4));
    let length = p.length as usize;
    let bias = with_bias.then_some(&bias[..length]);
    let row = Row { gain: &gain[..length], bias, eps: R::lit(f64::from(p.eps)), rms };
    let rows = task_rows(length);
    let tasks = y.par_chunks_mut(rows * length).zip(stats.par_chunks_mut(2 * rows));
    if args.slots.len() <= 5 {
        tasks.zip(x.par_chunks(rows * length)).for_each(|((y, stats), x)| {
            let rows = y.chunks_exact_mut(length).zip(x.chunks_exact(length));
            rows.zip(stats.chunks_exact_mut(2)).for_each(|((y, x), s)| row.normalise(x, y, s));
        });
        return;
    }
    let (residual, total) = (args.reals(5), args.reals_mut(6));
    let inputs = x.par_chunks(rows * length).zip(residual.par_chunks(rows * length));
    let inputs = inputs.zip(total.par_chunks_mut(rows * length));
    tasks.zip(inputs).for_each(|((y, stats), ((x, residual), total))| {
        total.iter_mut().zip(x.iter().zip(residual)).for_each(|(t, (x, r))| *t = *x + *r);
        let rows = y.chunks_exact_mut(length).zip(total.chunks_exact(length));
        rows.zip(stats.chunks_exact_mut(2)).for_each(|((y, x), s)| row.normalise(x, y, s));
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
        let pivot = pivot(x, self.rms);
        let shift = if self.rms { R::zero() } else { lane_sum([x], |[x]| x - pivot) / n };
        let squares = lane_sum([x], |[x]| {
            let v = x - pivot - shift;
            v * v
        });
        let q = (squares / n + self.eps).sqrt().recip();
        stats.copy_from_slice(&[shift, q]);
        let scaled = y.iter_mut().zip(x.iter().zip(self.gain));
        scaled.for_each(|(y, (x, gain))| *y = (*x - pivot - shift) * q * *gain);
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
                || backward_row(x, gain, g, gx, [stats[2 * r], stats[2 * r + 1]], rms),
            );
        }
    });
}

#[inline(always)]
fn backward_row<R: Real>(
    x: &[R],
    gain: &[R],
    g: &[R],
    gx: &mut [R],
    [shift, q]: [R; 2],
    rms: bool,
) {
    let (pivot, n) = (pivot(x, rms), R::lit(x.len() as f64));
    gx.iter_mut().zip(g.iter().zip(gain)).for_each(|(h, (g, gain))| *h = *g * *gain);
    let plain = if rms { R::zero() } else { lane_sum([gx], |[h]| h) / n };
    let along = lane_sum([gx, x], |[h, x]| h * (x - pivot - shift)) / n * q * q;
    let both = gx.iter_mut().zip(x);
    both.for_each(|(h, x)| *h = q * (*h - plain - (*x - pivot - shift) * along));
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
            let (pivot, shift, q) = (pivot(x, rms), stats[2 * r], stats[2 * r + 1]);
            let terms = x.iter().zip(g);
            sums.iter_mut()
                .zip(terms)
                .for_each(|(s, (x, g))| *s += *g * ((*x - pivot - shift) * q));
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
    norm.fill(R::zero());
    for row in v.chunks_exact(columns) {
        norm.iter_mut().zip(row).for_each(|(sum, v)| *sum += *v * *v);
    }
    norm.iter_mut().for_each(|norm| *norm = norm.sqrt());
    for (w, v) in w.chunks_exact_mut(columns).zip(v.chunks_exact(columns)) {
        for (n, (w, v)) in w.iter_mut().zip(v).enumerate() {
            // A column of zeros stays one.
            let norm = if norm[n] == R::zero() { R::one() } else { norm[n] };
            *w = *v * (length[n] / norm);
        }
    }
}

pub(super) fn weight_norm_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WeightParams = args.params();
    let columns = p.columns as usize;
    let (v, length, norm, g) = (args.reals(0), args.reals(1), args.reals(2), args.reals(3));
    let (gv, of_length) = (args.reals_mut(4), args.reals_mut(5));
    // Where the norm is 0 there is no direction to turn.
    let inverse_of = |norm: R| if norm == R::zero() { norm } else { norm.recip() };
    of_length.fill(R::zero());
    for (v, g) in v.chunks_exact(columns).zip(g.chunks_exact(columns)) {
        of_length.iter_mut().zip(v.iter().zip(g)).for_each(|(sum, (v, g))| *sum += *v * *g);
    }
    of_length.iter_mut().zip(norm).for_each(|(sum, norm)| *sum *= inverse_of(*norm));
    for (row, gv) in gv.chunks_exact_mut(columns).enumerate() {
        for (n, gv) in gv.iter_mut().enumerate() {
            let (at, inverse) = (row * columns + n, inverse_of(norm[n]));
            *gv = length[n] * inverse * (g[at] - of_length[n] * inverse * v[at]);
        }
    }
}
