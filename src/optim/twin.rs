//! The CPU twins.

mod update;

use super::low_rank::{ColumnParams, FactorParams};
use super::neurons::Params as NeuronParams;
use super::norm::{ClipFactorParams, SquareSumParams, TOGETHER};
use super::numbers::{COUNT, INPUTS};
use super::project::{OverlapParams, ProjectParams};
use crate::host::parallel::*;
use crate::host::{HostArgs, LARGE, Real, SMALL, UP, greatest, to_middle, to_one};
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

/// Sums of squares of small, middling and large elements, and 1 if one is not finite.
fn squares_of<R: Real>(g: &[R]) -> [R; 4] {
    let zero = R::zero();
    let mut all = [zero; 4];
    for block in g.chunks(64) {
        let mut sums = [zero; 3];
        for v in block {
            let size = v.abs();
            let w = *v * to_middle(size);
            let (small, large) = (size < R::lit(SMALL), size > R::lit(LARGE));
            let q = w * w;
            sums[0] += if small { q } else { zero };
            sums[1] += if small || large { zero } else { q };
            sums[2] += if large { q } else { zero };
        }
        all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
    }
    if g.iter().any(|v| !v.is_finite()) {
        all[3] = R::one();
    }
    all
}

pub(super) fn square_sums<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SquareSumParams = args.params();
    let partials = args.reals_mut(TOGETHER);
    let mut start = 0;
    for j in 0..p.gradients as usize {
        let end = p.ends[j] as usize;
        let places = &mut partials[4 * p.offset as usize..][4 * start..4 * end];
        let chunks = args.reals(j)[..p.counts[j] as usize].par_chunks(p.chunks[j] as usize);
        let places = places.par_chunks_exact_mut(4).zip(chunks);
        places.for_each(|(place, chunk)| place.copy_from_slice(&squares_of(chunk)));
        start = end;
    }
}

pub(super) fn clip_factor<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipFactorParams = args.params();
    let partials = args.reals(0).chunks_exact(4).take((p.count + p.checked) as usize);
    let zero = R::zero();
    let (mut sums, mut fault) = ([zero; 3], false);
    for (i, part) in partials.enumerate() {
        fault |= part[3] > zero;
        if i < p.count as usize {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part);
        }
    }
    let clip = args.reals_mut(1);
    if fault {
        clip[..3].copy_from_slice(&[zero, zero, R::one()]);
        clip[3] += R::one();
        return;
    }
    let (up, down) = (R::lit(UP), R::lit(UP.recip()));
    let [small, middle, large] = sums;
    let (root, scale) = if large > zero {
        ((large + middle * down * down).sqrt(), up)
    } else if middle > zero {
        ((middle + small * down * down).sqrt(), R::one())
    } else {
        (small.sqrt(), down)
    };
    let greatest = R::lit(f64::from(f32::MAX));
    let norm = root.min(greatest / scale.max(R::one())) * scale;
    let most = R::lit(p.most.into());
    let factor = if norm > most { most.sqrt() / (root.sqrt() * scale.sqrt()) } else { R::one() };
    clip[..3].copy_from_slice(&[factor, norm, zero]);
}

pub(super) fn overlap<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: OverlapParams = args.params();
    let (g, w, partials) = (args.reals(0), args.reals(1), args.reals_mut(2));
    let chunk = p.chunk as usize;
    let chunks = g.par_chunks(chunk).zip(w.par_chunks(chunk));
    partials.par_chunks_mut(5).zip(chunks).for_each(|(place, (g, w))| {
        let largest = |x: &[R]| x.iter().fold(R::zero(), |most, v| most.max(v.abs()));
        let (top_g, top_w) = (largest(g), largest(w));
        let (sg, sw) = (to_one(top_g), to_one(top_w));
        place[0] = blocked(g.len(), |i| (g[i] * sg) * (w[i] * sw));
        place[1] = blocked(g.len(), |i| (w[i] * sw) * (w[i] * sw));
        place[2] = blocked(g.len(), |i| (g[i] * sg) * (g[i] * sg));
        (place[3], place[4]) = (top_g, top_w);
    });
}

pub(super) fn project<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProjectParams = args.params();
    let (g, w, partials) = (args.reals(0), args.reals(1), args.reals(2));
    let y = args.reals_mut(3);
    let partials = || partials.chunks_exact(5).take(p.groups as usize);
    let largest = |k: usize| partials().fold(R::zero(), |most, part| most.max(part[k]));
    let (sg, sw) = (to_one(largest(3)), to_one(largest(4)));
    let (mut gw, mut ww, mut gg) = (R::zero(), R::zero(), R::zero());
    for part in partials() {
        let (rg, rw) = (sg / to_one(part[3]), sw / to_one(part[4]));
        gw += part[0] * rg * rw;
        ww += part[1] * rw * rw;
        gg += part[2] * rg * rg;
    }
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
    let all = y.par_iter_mut().zip(g).zip(w);
    all.for_each(|((y, g), w)| *y = (a * (*g * sg) + b * (*w * sw)) / sg);
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
    let (r, q, f) = (args.reals(0), args.reals_mut(1), args.reals_mut(2));
    let (columns, eps) = (p.columns as usize, R::lit(p.eps.into()));
    for j in 0..columns {
        let column = || r.iter().skip(j).step_by(columns);
        let scale = to_one(column().fold(R::zero(), |most, v| greatest(most, v.abs())));
        let norm = column().map(|v| (*v * scale) * (*v * scale)).sum::<R>().sqrt();
        let faded = f.iter_mut().skip(j).step_by(columns);
        if norm == R::zero() {
            faded.for_each(|f| *f = R::zero());
            continue;
        }
        let (whole, less) = (norm.recip(), (norm + eps * scale).recip());
        let places = q.iter_mut().skip(j).step_by(columns).zip(faded);
        for ((q, f), r) in places.zip(column()) {
            (*q, *f) = ((*r * scale) * whole, (*r * scale) * less);
        }
    }
}
