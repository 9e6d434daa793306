//! The statistics and gradients of a tile of logits, in vector lanes.

use super::parallel::*;
use super::{HostArgs, exp, greatest, vectorised};
use crate::loss::CrossEntropyTileParams;

/// Partial results side by side: as many as the widest vectors hold.
const LANES: usize = 16;

#[inline(always)]
fn largest(x: &[f32]) -> f32 {
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
fn shift_of(largest: f32) -> f32 {
    if largest == f32::NEG_INFINITY { 0.0 } else { largest }
}

/// The sum of `e^(x - largest)`; with `KEEP` these take the place of x.
#[inline(always)]
fn exponentials<const KEEP: bool>(x: &mut [f32], largest: f32) -> f32 {
    let shift = shift_of(largest);
    let term = |x: &mut f32| {
        let e = exp(*x - shift);
        if KEEP {
            *x = e;
        }
        e
    };
    let mut lanes = [0.0; LANES];
    let mut full = x.chunks_exact_mut(LANES);
    for x in &mut full {
        lanes.iter_mut().zip(x).for_each(|(sum, x)| *sum += term(x));
    }
    let rest: f32 = full.into_remainder().iter_mut().map(term).sum();
    lanes.into_iter().sum::<f32>() + rest
}

pub(crate) fn cross_entropy_tile(args: &mut HostArgs<'_, f32>) {
    let p: CrossEntropyTileParams = args.params();
    let (statistics, gradient) = (args.flag("STATISTICS"), args.flag("GRADIENT"));
    let tile = Tile { p, statistics, gradient };
    let (logits, targets) = (args.reals_mut("x"), args.words("targets"));
    let (stats, loss) = (args.reals_mut("stats"), args.reals_mut("loss"));
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
    p: CrossEntropyTileParams,
    statistics: bool,
    gradient: bool,
}

impl Tile {
    fn row(&self, x: &mut [f32], target: u32, stats: &mut [f32], loss: &mut f32) {
        let place = target.checked_sub(self.p.class_first).map(|c| c as usize);
        let place = place.filter(|c| target < self.p.classes && *c < x.len());
        if self.statistics {
            let hit = place.map(|c| x[c]);
            let mut found = (0.0, 0.0);
            vectorised(
                #[inline(always)]
                || {
                    let m = largest(x);
                    let sum = match self.gradient {
                        true => exponentials::<true>(x, m),
                        false => exponentials::<false>(x, m),
                    };
                    found = (m, sum);
                },
            );
            self.merge(found, hit, stats);
            let inside = target < self.p.classes;
            *loss = if inside { stats[1].ln() - (stats[2] - stats[0]) } else { 0.0 };
        } else {
            let m = stats[0];
            vectorised(
                #[inline(always)]
                || x.iter_mut().for_each(|x| *x = exp(*x - m)),
            );
        }
        if self.gradient && target >= self.p.classes {
            x.fill(0.0);
        } else if self.gradient {
            let scale = self.p.divisor.recip();
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
    fn merge(&self, (m, sum): (f32, f32), hit: Option<f32>, stats: &mut [f32]) {
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
