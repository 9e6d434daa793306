//! The CPU twins.

use super::accuracy::Params as HitsParams;
use super::cross_entropy::{BackwardParams as EntropyBackward, Params as EntropyParams};
use super::linear_cross_entropy::TileParams;
use super::rate_mse::{BackwardParams as RateBackward, Params as RateParams};
use super::stable_max::Scores;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, difference_times, exp, greatest, vectorised};
use crate::reduce::{log_sum_exp, pairwise};
use std::borrow::Cow;

pub(super) fn cross_entropy<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EntropyParams = args.params();
    let (x, targets) = (args.reals(0), args.words(1));
    let (stats, part) = (args.reals_mut(2), args.reals_mut(3));
    let (classes, span) = (p.classes as usize, p.span as usize);
    let a = R::lit(f64::from(p.smoothing));
    let scores = Scores::from_code(args.constant_or("KIND", 0));
    let sharpness = R::lit(f64::from(p.sharpness));
    let row_loss = |r: usize, stats: &mut [R]| {
        let x = scored(&x[r * classes..][..classes], scores, sharpness);
        let (largest, sum) = log_sum_exp(&x);
        stats.copy_from_slice(&[largest, sum.ln()]);
        let Some(hit) = x.get(targets[r] as usize) else { return R::zero() };
        let loss = sum.ln() - (R::one() - a) * (*hit - largest);
        // Without smoothing a class of -infinity is none: not 0 times its logit.
        if p.smoothing == 0.0 {
            return loss;
        }
        loss - a * pairwise(0, classes, &|c| x[c] - largest) / R::lit(classes as f64)
    };
    let rows = stats.par_chunks_mut(2 * span).zip(part).enumerate();
    rows.for_each(|(i, (stats, part))| {
        let losses = stats.chunks_mut(2).enumerate().map(|(k, s)| row_loss(i * span + k, s));
        let losses: Vec<R> = losses.collect();
        *part = pairwise(0, losses.len(), &|k| losses[k]);
    });
}

/// The scores of a row of logits.
fn scored<R: Real>(x: &[R], scores: Scores, sharpness: R) -> Cow<'_, [R]> {
    if scores == Scores::Softmax && sharpness == R::one() {
        return Cow::Borrowed(x);
    }
    x.iter().map(|x| scores.of(*x * sharpness)).collect()
}

pub(super) fn cross_entropy_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EntropyBackward = args.params();
    let (x, targets, stats) = (args.reals(0), args.words(1), args.reals(2));
    let (g, gx) = (args.reals(3)[0], args.reals_mut(4));
    let classes = p.classes as usize;
    let (a, divisor) = (R::lit(f64::from(p.smoothing)), R::lit(f64::from(p.divisor)));
    let scores = Scores::from_code(args.constant_or("KIND", 0));
    let sharpness = R::lit(f64::from(p.sharpness));
    gx.par_chunks_mut(classes).enumerate().for_each(|(r, gx)| {
        let target = targets[r] as usize;
        if target >= classes {
            gx.fill(R::zero());
            return;
        }
        let (largest, log_sum) = (stats[2 * r], stats[2 * r + 1]);
        for (c, gx) in gx.iter_mut().enumerate() {
            let z = x[r * classes + c] * sharpness;
            let probability = (scores.of(z) - largest - log_sum).exp();
            let hit = if c == target { R::one() - a } else { R::zero() };
            let slope = g * sharpness * scores.slope(z);
            *gx = slope * (probability - hit - a / R::lit(classes as f64)) / divisor;
        }
    });
}

/// Partial results side by side: as many as the widest vectors hold.
const LANES: usize = 16;

#[inline(always)]
fn largest<R: Real>(x: &[R]) -> R {
    let mut lanes = [x[0]; LANES];
    let full = x.chunks_exact(LANES);
    let rest = full.remainder().iter().fold(x[0], |m, x| greatest(m, *x));
    for x in full {
        lanes.iter_mut().zip(x).for_each(|(m, x)| *m = greatest(*m, *x));
    }
    lanes.into_iter().fold(rest, greatest)
}

/// What exponentials are taken relative to: 0 where every logit so far is -infinity, so that they are 0.
#[inline(always)]
fn shift_of<R: Real>(largest: R) -> R {
    if largest == R::neg_infinity() { R::zero() } else { largest }
}

/// The sum of `e^(x - largest)`; with `KEEP` these take the place of x.
#[inline(always)]
fn exponentials<R: Real, const KEEP: bool>(x: &mut [R], largest: R) -> R {
    let shift = shift_of(largest);
    let term = |x: &mut R| {
        let e = exp(*x - shift);
        if KEEP {
            *x = e;
        }
        e
    };
    let mut lanes = [R::zero(); LANES];
    let mut full = x.chunks_exact_mut(LANES);
    for x in &mut full {
        lanes.iter_mut().zip(x).for_each(|(sum, x)| *sum += term(x));
    }
    let rest: R = full.into_remainder().iter_mut().map(term).sum();
    lanes.into_iter().sum::<R>() + rest
}

pub(super) fn cross_entropy_tile<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TileParams = args.params();
    let flag = |name| args.constant_or(name, 1) == 1;
    let tile = Tile { p, statistics: flag("STATISTICS"), gradient: flag("GRADIENT") };
    let (logits, targets) = (args.reals_mut(0), args.words(1));
    let (stats, loss) = (args.reals_mut(2), args.reals_mut(3));
    let (first, rows) = (p.row_first as usize, p.rows as usize);
    let rows = logits
        .par_chunks_mut(p.width as usize)
        .zip(&targets[first..first + rows])
        .zip(stats[3 * first..3 * (first + rows)].par_chunks_mut(3))
        .zip(&mut loss[first..first + rows]);
    rows.for_each(|(((x, target), stats), loss)| tile.row(x, *target, stats, loss));
}

/// What all rows of a tile share.
struct Tile {
    p: TileParams,
    statistics: bool,
    gradient: bool,
}

impl Tile {
    fn row<R: Real>(&self, x: &mut [R], target: u32, stats: &mut [R], loss: &mut R) {
        let place = target.checked_sub(self.p.class_first).map(|c| c as usize);
        let place = place.filter(|c| target < self.p.classes && *c < x.len());
        if self.statistics {
            let hit = place.map(|c| x[c]);
            let mut found = (R::zero(), R::zero());
            vectorised(
                #[inline(always)]
                || {
                    let m = largest(x);
                    let sum = match self.gradient {
                        true => exponentials::<R, true>(x, m),
                        false => exponentials::<R, false>(x, m),
                    };
                    found = (m, sum);
                },
            );
            self.merge(found, hit, stats);
            let inside = target < self.p.classes;
            *loss = if inside { stats[1].ln() - (stats[2] - stats[0]) } else { R::zero() };
        } else {
            let m = stats[0];
            vectorised(
                #[inline(always)]
                || x.iter_mut().for_each(|x| *x = exp(*x - m)),
            );
        }
        if self.gradient && target >= self.p.classes {
            x.fill(R::zero());
        } else if self.gradient {
            let scale = R::lit(f64::from(self.p.divisor)).recip();
            let factor = scale / stats[1];
            vectorised(
                #[inline(always)]
                || x.iter_mut().for_each(|x| *x *= factor),
            );
            if let Some(place) = place {
                x[place] -= scale;
            }
        }
    }

    /// Adds what was found in a tile to the statistics of its row.
    fn merge<R: Real>(&self, (m, sum): (R, R), hit: Option<R>, stats: &mut [R]) {
        if self.p.start == 1 {
            stats.copy_from_slice(&[m, sum, hit.unwrap_or_default()]);
            return;
        }
        let both = greatest(m, stats[0]);
        let shift = shift_of(both);
        stats[1] = stats[1] * (stats[0] - shift).exp() + sum * (m - shift).exp();
        stats[0] = both;
        stats[2] = hit.unwrap_or(stats[2]);
    }
}

pub(super) fn scale_by<R: Real>(args: &mut HostArgs<'_, R>) {
    let (x, g) = (args.reals_mut(0), args.reals(1)[0]);
    if g != R::one() {
        x.par_chunks_mut(1 << 14).for_each(|x| x.iter_mut().for_each(|x| *x *= g));
    }
}

pub(super) fn mse_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let (x, y, g, gx) = (args.reals(0), args.reals(1), args.reals(2), args.reals_mut(3));
    let scale = g[0] / R::lit(0.5 * x.len() as f64);
    let each = |((gx, x), y): ((&mut R, &R), &R)| *gx = difference_times(*x, *y, scale);
    gx.par_iter_mut().zip(x).zip(y).for_each(each);
}

pub(super) fn rate_mse<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateParams = args.params();
    let (steps, columns, span) = (p.steps as usize, p.columns as usize, p.span as usize);
    let spikes = match args.is_real(0) {
        true => Spikes::Floats(args.reals(0)),
        false => Spikes::Packed(args.words(0)),
    };
    let (rate, part) = (args.reals_mut(1), args.reals_mut(2));
    let wanted = R::lit(f64::from(p.wanted));
    rate.par_chunks_mut(span).zip(part).enumerate().for_each(|(i, (rate, part))| {
        spikes.count(rate, steps, columns, i * span);
        rate.iter_mut().for_each(|r| *r /= R::lit(steps as f64));
        *part = pairwise(0, rate.len(), &|k| (rate[k] - wanted) * (rate[k] - wanted));
    });
}

/// A spike train `[steps, columns]`.
enum Spikes<'a, R> {
    Floats(&'a [R]),
    Packed(&'a [u32]),
}

impl<R: Real> Spikes<'_, R> {
    /// Counts the spikes of neighbouring columns from `first` on.
    fn count(&self, counts: &mut [R], steps: usize, columns: usize, first: usize) {
        counts.fill(R::zero());
        match self {
            Spikes::Floats(s) => {
                let mut block = vec![R::zero(); counts.len()];
                for start in (0..steps).step_by(32) {
                    block.fill(R::zero());
                    for t in start..steps.min(start + 32) {
                        let row = &s[t * columns + first..];
                        block.iter_mut().zip(row).for_each(|(sum, s)| *sum += *s);
                    }
                    counts.iter_mut().zip(&block).for_each(|(sum, s)| *sum += *s);
                }
            }
            Spikes::Packed(s) => {
                for w in 0..steps.div_ceil(32) {
                    let row = &s[w * columns + first..];
                    let add = |(sum, s): (&mut R, &u32)| *sum += R::lit(f64::from(s.count_ones()));
                    counts.iter_mut().zip(row).for_each(add);
                }
            }
        }
    }
}

pub(super) fn rate_mse_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateBackward = args.params();
    let (rate, g, gs) = (args.reals(0), args.reals(1)[0], args.reals_mut(2));
    let scale = R::lit(2.0) * g / R::lit(f64::from(p.steps) * f64::from(p.columns));
    let wanted = R::lit(f64::from(p.wanted));
    gs.par_chunks_mut(rate.len()).for_each(|gs| {
        for (gs, rate) in gs.iter_mut().zip(rate) {
            *gs = scale * (*rate - wanted);
        }
    });
}

pub(super) fn hits<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HitsParams = args.params();
    let (found, targets, part) = (args.words(0), args.words(1), args.reals_mut(2));
    let span = p.span as usize;
    let rows = found.par_chunks(span).zip(targets.par_chunks(span));
    part.par_iter_mut().zip(rows).for_each(|(part, (found, targets))| {
        let hits = found.iter().zip(targets).filter(|(found, target)| found == target);
        *part = R::lit(hits.count() as f64);
    });
}
