//! The CPU twins.

mod update;

use super::low_rank::{ColumnParams, FactorParams};
use super::neurons::Params as NeuronParams;
use super::norm::{ClipFactorParams, SquareSumParams, TOGETHER};
use super::numbers::{COUNT, INPUTS};
use super::project::{OverlapParams, ProjectParams};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, greatest};
pub(super) use update::update;

pub(super) fn step_numbers<R: Real>(args: &mut HostArgs<'_, R>) {
    let (inputs, clip, numbers) = (args.reals(0), args.reals(1), args.reals_mut(2));
    for (input, number) in inputs.chunks(INPUTS).zip(numbers.chunks_mut(COUNT)) {
        let mark = if input[12] == R::zero() { number[11] } else { clip[3] };
        number.copy_from_slice(&input[..COUNT]);
        number[11] = mark;
        let t = (input[11] - (clip[3] - mark)).max(R::one());
        let rest = |ln_beta: R| -(t * ln_beta).exp_m1();
        number[1] = rest(input[1]).recip();
        number[2] = rest(input[2]).sqrt().recip();
        if input[13] != R::zero() {
            number[8] = input[8] * number[2];
        }
    }
}

/// The sum of a long list, in blocks, so that it keeps its small terms.
fn blocked<R: Real>(count: usize, term: impl Fn(usize) -> R) -> R {
    let block = |start: usize| (start..count.min(start + 64)).map(&term).sum::<R>();
    (0..count).step_by(64).map(block).sum()
}

pub(super) fn square_sums<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SquareSumParams = args.params();
    let partials = args.reals_mut(TOGETHER);
    let sum = |g: &[R]| blocked(g.len(), |i| g[i] * g[i]);
    let mut start = 0;
    for j in 0..p.gradients as usize {
        let end = p.ends[j] as usize;
        let places = &mut partials[p.offset as usize..][start..end];
        let chunks = args.reals(j)[..p.counts[j] as usize].par_chunks(p.chunks[j] as usize);
        places.par_iter_mut().zip(chunks).for_each(|(place, chunk)| *place = sum(chunk));
        start = end;
    }
}

pub(super) fn clip_factor<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipFactorParams = args.params();
    let (counted, checked) = args.reals(0).split_at(p.count as usize);
    let sum: R = counted.iter().copied().sum();
    let sound = checked[..p.checked as usize].iter().all(|sum| sum.is_finite());
    let clip = args.reals_mut(1);
    if sum.is_finite() && sound {
        let (norm, most) = (sum.sqrt(), R::lit(p.most.into()));
        clip[..3].copy_from_slice(&[most / norm.max(most), norm, R::zero()]);
    } else {
        clip[..3].copy_from_slice(&[R::zero(), R::zero(), R::one()]);
        clip[3] += R::one();
    }
}

pub(super) fn overlap<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: OverlapParams = args.params();
    let (g, w, partials) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let chunk = p.chunk as usize;
    let chunks = g.par_chunks(chunk).zip(w.par_chunks(chunk));
    partials.par_chunks_mut(3).zip(chunks).for_each(|(place, (g, w))| {
        place[0] = blocked(g.len(), |i| g[i] * w[i]);
        place[1] = blocked(g.len(), |i| w[i] * w[i]);
        place[2] = blocked(g.len(), |i| g[i] * g[i]);
    });
}

pub(super) fn project<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProjectParams = args.params();
    let (g, w, partials) = (args.reals(0), args.reals(1), args.reals(2));
    let y = args.reals_mut(3);
    let total = |k: usize| -> R { partials.chunks(3).map(|sums| sums[k]).sum() };
    let (gw, ww, gg) = (total(0), total(1), total(2));
    let (a, b) = if ww == R::zero() {
        (R::one(), R::zero())
    } else {
        let along = gw / ww;
        let rest = gg - along * gw;
        if rest <= R::lit(1e-6) * gg {
            (R::zero(), R::zero())
        } else {
            let scale = (gg / rest).sqrt();
            (scale, -scale * along)
        }
    };
    let y = &mut y[..p.count as usize];
    y.par_iter_mut().zip(g).zip(w).for_each(|((y, g), w)| *y = a * *g + b * *w);
}

pub(super) fn neuron_factors<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NeuronParams = args.params();
    let (q, clip) = (args.reals(0), args.reals(1));
    let (v, factors) = (args.reals_mut(2), args.reals_mut(3));
    if clip[2] != R::zero() {
        factors.fill(R::zero());
        return;
    }
    let (beta, rest) = (R::lit(p.beta.into()), R::lit(p.rest.into()));
    let (mut before, mut after) = (R::zero(), R::zero());
    for ((q, v), factor) in q.iter().zip(v).zip(&mut *factors) {
        *v = beta * *v + rest * *q;
        *factor = (v.sqrt() + R::lit(1e-8)).recip();
        before += *q;
        after += *factor * *factor * *q;
    }
    let ratio = if after > R::zero() { (before / after).sqrt() } else { R::zero() };
    factors.iter_mut().for_each(|factor| *factor *= ratio);
}

pub(super) fn gram_factor<R: Real>(args: &mut HostArgs<'_, R>) {
    let n = args.params::<FactorParams>().n as usize;
    let (g, l, w) = (args.reals(0), args.reals_mut(1), args.reals_mut(2));
    for k in 0..n {
        let done: Vec<R> = l[k * n..k * n + k].to_vec();
        let rest = |g: R, row: &[R]| g - row.iter().zip(&done).map(|(a, b)| *a * *b).sum::<R>();
        let square = rest(g[k * n + k], &done);
        let sound = square > R::lit(1e-6) * g[k * n + k];
        let inverse = if sound { square.sqrt().recip() } else { R::zero() };
        for i in k + 1..n {
            l[i * n + k] = rest(g[i * n + k], &l[i * n..i * n + k]) * inverse;
        }
        l[k * n + k] = inverse;
    }
    w.fill(R::zero());
    for j in 0..n {
        w[j * n + j] = l[j * n + j];
        for i in (0..j).rev() {
            let sum: R = (i + 1..=j).map(|k| l[k * n + i] * w[k * n + j]).sum();
            w[i * n + j] = -sum * l[i * n + i];
        }
    }
}

pub(super) fn unit_columns<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ColumnParams = args.params();
    let (r, q) = (args.reals(0), args.reals_mut(1));
    let columns = p.columns as usize;
    for j in 0..columns {
        let column = r.iter().skip(j).step_by(columns);
        let largest = column.clone().fold(R::zero(), |most, v| greatest(most, v.abs()));
        if largest == R::zero() {
            continue;
        }
        let sum: R = column.clone().map(|v| (*v / largest) * (*v / largest)).sum();
        let factor = (largest * sum.sqrt()).recip();
        let places = q.iter_mut().skip(j).step_by(columns);
        places.zip(column).for_each(|(q, r)| *q = *r * factor);
    }
}
