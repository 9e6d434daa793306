//! Twins of the planning kernels.

use super::TASK;
use crate::host::{HostArgs, Real};
use crate::spectral::plan::{PlanParams, StartParams};
use rayon::prelude::*;

/// The least share of the bound that the radius stands for: below, rounding makes eigenvalues
/// negative, and the iteration lets those grow.
const LEAST: f64 = 1.0 / (1 << 20) as f64;

/// The first row of the grid whose power of two is not below `total / w`.
fn grid_row<R: Real>(w: R, total: R, grid: usize) -> usize {
    let (mut j, mut reach) = (0, w);
    while j + 1 < grid && reach < total {
        j += 1;
        reach = reach + reach;
    }
    j
}

/// Start and coefficients of each matrix's iteration.
pub(in crate::spectral) fn clip_plan<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PlanParams = args.params();
    let quintic = args.constant("QUINTIC", 0) != 0;
    let [m, most] = [p.m, p.most].map(|v| v as usize);
    let (rows, facts, schedules) = (args.reals(0), args.reals(1), args.reals(2));
    let (start, plan) = (args.reals_mut(3), args.reals_mut(4));
    let products = if quintic { 3 } else { 2 };
    for e in 0..p.entries as usize {
        let rows = &rows[2 * e * m..][..2 * m];
        let widest = rows.iter().step_by(2).copied().fold(R::zero(), R::max);
        let norm = rows.iter().skip(1).step_by(2).copied().sum::<R>().sqrt();
        let (sc, c) = (facts[4 * e + 2], facts[4 * e + 3]);
        let bound = widest.min(norm);
        let w = (sc * sc).max(R::lit(LEAST) * bound);
        let total = w + bound;
        start[2 * e] = w / total;
        start[2 * e + 1] = total.recip();
        let schedule = &schedules[4 * grid_row(w, total, p.grid as usize) * most..][..4 * most];
        let plan = &mut plan[8 * e * products * most..][..8 * products * most];
        let mut begun = false;
        for (i, launches) in plan.chunks_exact_mut(8 * products).enumerate() {
            launches.fill(R::zero());
            let now = &schedule[4 * i..][..4];
            if now[3] == R::zero() {
                continue;
            }
            let scale = (i + 1 == most).then(|| c / total.sqrt());
            iteration(launches, now, !begun, scale);
            begun = true;
        }
    }
}

/// The products of an iteration: of two or three launches, two parts each; `scale` in the last one.
fn iteration<R: Real>(launches: &mut [R], now: &[R], first: bool, scale: Option<R>) {
    let half = R::lit(0.5);
    let plain = [R::zero(), R::zero(), R::one(), R::zero()];
    let step = [R::zero(), R::one() + half, -half, R::zero()];
    let mut set = |launch: usize, part: usize, factors: [R; 4]| {
        launches[8 * launch + 4 * part..][..4].copy_from_slice(&factors);
    };
    let quintic = now[0] != R::zero();
    let of_z = match (quintic, first) {
        (true, true) => [R::zero(), R::zero(), R::zero(), R::one()],
        (true, false) => plain,
        (false, true) => [R::one() + half, R::zero(), R::zero(), -half],
        (false, false) => step,
    };
    let factor = scale.unwrap_or(R::one());
    set(1, 1, of_z.map(|v| v * factor));
    if quintic {
        set(0, 0, [now[0], now[1], now[2], R::zero()]);
    }
    match (quintic, scale.is_some()) {
        (_, true) => {}
        (true, false) => {
            set(1, 0, plain);
            set(2, 0, plain);
        }
        (false, false) => {
            set(0, 0, step);
            set(1, 0, step);
        }
    }
}

/// `p I + q S`.
pub(in crate::spectral) fn clip_start<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: StartParams = args.params();
    let m = p.m as usize;
    let both = args.constant("BOTH", 0) != 0;
    let (s, start) = (args.reals(0), args.reals(1));
    let count = p.entries as usize * m * m;
    let m0 = &mut args.reals_mut(2)[..count];
    let least = TASK.div_ceil(m);
    let lines = m0.par_chunks_exact_mut(m).zip(s.par_chunks_exact(m)).enumerate();
    lines.with_min_len(least).for_each(|(i, (line, s))| {
        let (shift, scale) = (start[2 * (i / m)], start[2 * (i / m) + 1]);
        line.iter_mut().zip(s).for_each(|(y, s)| *y = scale * *s);
        line[i % m] += shift;
    });
    if both {
        args.reals_mut(3)[..count].copy_from_slice(m0);
    }
}
