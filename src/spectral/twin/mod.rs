//! The CPU twins.

mod apply;
mod plan;
mod product;

pub(super) use apply::apply_product;
pub(super) use plan::{clip_plan, clip_start};
pub(super) use product::symmetric_product;

use super::blend::Params as BlendParams;
use super::bound::Params as RowsParams;
use super::norm::{PartsParams, ScaleParams};
use super::power::Params as UnitParams;
use super::vector::Params as VectorParams;
use super::wide::Params as WideParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, sum_of, to_one, vectorised};
use crate::linalg::pack_halves;

/// Beside a radius that is so much larger nothing is clipped.
const MOST_RADIUS: f64 = (1u64 << 40) as f64;

/// Elements that are worth a task.
const TASK: usize = 1 << 14;

/// Elements that are compared side by side.
const LANES: usize = 16;

/// The largest of the finite elements by magnitude, and whether all are finite.
#[inline(always)]
fn largest_finite<R: Real>(x: &[R]) -> (R, bool) {
    let (mut lanes, mut sound) = ([R::zero(); LANES], [true; LANES]);
    for row in x.chunks(LANES) {
        for ((lane, sound), v) in lanes.iter_mut().zip(&mut sound).zip(row) {
            let (size, finite) = (v.abs(), v.is_finite());
            *sound &= finite;
            *lane = if finite && size > *lane { size } else { *lane };
        }
    }
    let largest = lanes.into_iter().fold(R::zero(), |m, v| if v > m { v } else { m });
    (largest, sound.into_iter().all(|s| s))
}

/// Largest element, sum of scaled squares and fault of each chunk.
pub(super) fn norm_parts<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartsParams = args.params();
    let [count, chunk, chunks] = [p.count, p.chunk, p.chunks].map(|v| v as usize);
    let x = args.reals(0);
    let parts = &mut args.reals_mut(1)[4 * p.first as usize * chunks..];
    let parts = &mut parts[..4 * p.entries as usize * chunks];
    let of_chunk = |(row, part): (usize, &mut [R])| {
        let (entry, k) = (row / chunks, row % chunks);
        let x = &x[entry * count..][k * chunk..count.min((k + 1) * chunk)];
        let (mut largest, mut finite, mut sum) = (R::zero(), true, R::zero());
        vectorised(
            #[inline(always)]
            || {
                (largest, finite) = largest_finite(x);
                let scale = to_one(largest);
                sum = sum_of(x, |v| (v * scale) * (v * scale));
            },
        );
        let fault = if finite { R::zero() } else { R::one() };
        part.copy_from_slice(&[largest, sum, fault, R::zero()]);
    };
    parts.par_chunks_exact_mut(4).enumerate().for_each(of_chunk);
}

/// Scale, norm and radius of each matrix.
pub(super) fn matrix_scale<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ScaleParams = args.params();
    let (unit, dynamic) = (args.constant_or("UNIT", 0) != 0, args.constant_or("DYNAMIC", 0) != 0);
    let (parts, factor) = (args.reals(0), args.reals(1));
    let (facts, flags) = (args.reals_mut(2), args.reals_mut(3));
    let [radius, margin, eps] = [p.radius, p.margin, p.eps].map(|v| R::lit(f64::from(v)));
    let c = if dynamic { radius * factor[0] } else { radius };
    let all = facts.chunks_exact_mut(4).zip(flags).zip(parts.chunks_exact(4 * p.chunks as usize));
    for ((fact, flag), parts) in all.take(p.entries as usize) {
        let parts = || parts.chunks_exact(4);
        let largest = parts().map(|part| part[0]).fold(R::zero(), R::max);
        *flag = parts().map(|part| part[2]).fold(R::zero(), R::max);
        let s = to_one(largest);
        let ratio = |part: &[R]| s / to_one(part[0]);
        let norm = parts().map(|part| part[1] * ratio(part).powi(2)).sum::<R>().sqrt();
        let most = R::lit(MOST_RADIUS);
        let wide = if s > R::one() { c > most / s } else { s * c > most };
        let (radius, c) = if wide { (most, most / s) } else { (s * c, c) };
        let last = match unit {
            false => c,
            true if norm > R::zero() => (margin * norm + s * eps).recip(),
            true => R::zero(),
        };
        let s = if *flag == R::zero() { s } else { R::zero() };
        fact.copy_from_slice(&[s, norm, radius, last]);
    }
}

/// Scaled, lying on the long side, padded.
pub(super) fn to_wide<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let (tall, unit) = (args.constant_or("TALL", 0) != 0, args.constant_or("UNIT", 0) != 0);
    let (x, facts) = (args.reals(0), args.reals(1));
    let first = p.first as usize;
    let count = p.entries as usize * m * n;
    let mut halves = Vec::new();
    let wide = if args.is_real(2) {
        &mut args.reals_mut(2)[first * m * n..][..count]
    } else {
        halves.resize(count, R::zero());
        &mut halves
    };
    let step = (TASK / n).max(1);
    let row_of = |i: usize, line: &mut [R]| {
        let (e, row) = (i / m, i % m);
        let enter = facts[4 * (first + e)];
        let rest = if unit { facts[4 * (first + e) + 3] } else { R::one() };
        let x = &x[e * rows * cols..][..rows * cols];
        line.fill(R::zero());
        let (short, long) = if tall { (cols, rows) } else { (rows, cols) };
        if row >= short || enter == R::zero() {
            return;
        }
        if tall {
            let column = x[row..].iter().step_by(cols).take(long);
            line.iter_mut().zip(column).for_each(|(y, x)| *y = (enter * *x) * rest);
        } else {
            let row = &x[row * cols..][..long];
            line.iter_mut().zip(row).for_each(|(y, x)| *y = (enter * *x) * rest);
        }
    };
    wide.par_chunks_mut(step * n).enumerate().for_each(|(task, lines)| {
        for (i, line) in lines.chunks_exact_mut(n).enumerate() {
            row_of(task * step + i, line);
        }
    });
    if !args.is_real(2) && !halves.is_empty() {
        pack_halves(&halves, &mut args.words_mut(2)[first * m * n / 2..][..count / 2]);
    }
}

/// The upper left part of each matrix.
pub(super) fn crop<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let x = args.reals(0);
    let y = &mut args.reals_mut(1)[..p.entries as usize * rows * cols];
    for (i, line) in y.chunks_exact_mut(cols).enumerate() {
        let x = &x[(p.first as usize + i / rows) * m * n..][..m * n];
        line.copy_from_slice(&x[i % rows * n..][..cols]);
    }
}

/// Vectors scaled by their norm.
pub(super) fn vector_clip<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: VectorParams = args.params();
    let compat = args.constant_or("COMPAT", 0) != 0;
    let (x, facts) = (args.reals(0), args.reals(1));
    let count = p.count as usize;
    let y = args.reals_mut(2);
    let vectors = y.chunks_exact_mut(count).zip(x.chunks_exact(count)).zip(p.first as usize..);
    for ((y, x), entry) in vectors.take(p.entries as usize) {
        let [enter, norm, radius, c] = std::array::from_fn(|i| facts[4 * entry + i]);
        if enter == R::zero() {
            y.fill(R::zero());
            continue;
        }
        let within = compat && norm <= radius;
        let [enter, factor] = if within { [R::one(); 2] } else { [enter, c / norm.hypot(radius)] };
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (enter * *x) * factor);
    }
}

/// Hard clips put together.
pub(super) fn hard_join<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let tall = args.constant_or("TALL", 0) != 0;
    let (x, o, t) = (args.reals(0), args.reals(1), args.reals(2));
    let (facts, over) = (args.reals(3), args.reals(4));
    let y = &mut args.reals_mut(5)[..p.entries as usize * rows * cols];
    for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
        let e = p.first as usize + i / (rows * cols);
        let [s, c] = [facts[4 * e], facts[4 * e + 3]];
        let (row, col) = (i / cols % rows, i % cols);
        let (row, col) = if tall { (col, row) } else { (row, col) };
        let at = (e * m + row) * n + col;
        *y = if s == R::zero() {
            R::zero()
        } else if over[4 * e + 1] < R::lit(0.5) * over[4 * e] {
            *x
        } else {
            c * o[at] + t[at] / s
        };
    }
}

/// The sums of each row.
pub(super) fn gram_rows<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RowsParams = args.params();
    let length = p.length as usize;
    let s = args.reals(0);
    let rows = &mut args.reals_mut(1)[..2 * p.count as usize];
    let least = TASK.div_ceil(length);
    let pairs = rows.par_chunks_exact_mut(2).zip(s.par_chunks_exact(length)).at_least(least);
    pairs.for_each(|(pair, row)| {
        vectorised(
            #[inline(always)]
            || {
                pair[0] = sum_of(row, |v| v.abs());
                pair[1] = sum_of(row, |v| v * v);
            },
        );
    });
}

/// `p a + q b + r c`.
pub(super) fn blend<R: Real>(args: &mut HostArgs<'_, R>) {
    let params: BlendParams = args.params();
    let [p, q, r] = [params.p, params.q, params.r].map(|f| R::lit(f64::from(f)));
    let (a, b, c) = (args.reals(0), args.reals(1), args.reals(2));
    let y = &mut args.reals_mut(3)[..4 * params.cells as usize];
    y.par_chunks_mut(TASK).enumerate().for_each(|(task, y)| {
        let at = task * TASK..task * TASK + y.len();
        let pairs = y.iter_mut().zip(&a[at.clone()]).zip(&b[at.clone()]);
        if r == R::zero() {
            pairs.for_each(|((y, a), b)| *y = p * *a + q * *b);
        } else {
            pairs.zip(&c[at]).for_each(|(((y, a), b), c)| *y = p * *a + q * *b + r * *c);
        }
    });
}

/// Unit vectors, and norms in the scale of the matrices.
pub(super) fn unit_vectors<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnitParams = args.params();
    let length = p.length as usize;
    let (x, facts) = (args.reals(0), args.reals(1));
    let (y, norms) = (args.reals_mut(2), args.reals_mut(3));
    let all = y.chunks_exact_mut(length).zip(x.chunks_exact(length)).zip(facts.chunks_exact(4));
    for (((y, x), fact), found) in all.zip(norms).take(p.count as usize) {
        let norm = x.iter().map(|v| *v * *v).sum::<R>().sqrt();
        let factor = if norm > R::zero() { norm.recip() } else { R::zero() };
        y.iter_mut().zip(x).for_each(|(y, x)| *y = factor * *x);
        *found = if fact[0] == R::zero() { R::nan() } else { norm / fact[0] };
    }
}
