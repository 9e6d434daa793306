//! Twins of the planning kernels.

use super::TASK;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::linalg::pack_halves;
use crate::spectral::plan::{PlanParams, StartParams};

/// The first row of the grid whose power of two is not below `total / w`, but for rounding.
fn grid_row<R: Real>(w: R, total: R, grid: usize) -> usize {
    let (mut j, mut reach) = (0, w);
    let least = total * R::lit(1.0 - 0.5f64.powi(20));
    while j + 1 < grid && reach < least {
        j += 1;
        reach = reach + reach;
    }
    j
}

/// Start and coefficients of each matrix's iteration.
pub(in crate::spectral) fn clip_plan<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PlanParams = args.params();
    let quintic = args.constant_or("QUINTIC", 0) != 0;
    let [m, most] = [p.m, p.most].map(|v| v as usize);
    let (rows, facts, schedules) = (args.reals(0), args.reals(1), args.reals(2));
    let (start, plan) = (args.reals_mut(3), args.reals_mut(4));
    let products = if quintic { 3 } else { 2 };
    for e in 0..p.entries as usize {
        let rows = &rows[2 * e * m..][..2 * m];
        let widest = rows.iter().step_by(2).copied().fold(R::zero(), R::max);
        let norm = rows.iter().skip(1).step_by(2).copied().sum::<R>().sqrt();
        let [s, sc, c] = [facts[4 * e], facts[4 * e + 2], facts[4 * e + 3]];
        let bound = widest.min(norm);
        let bound = if quintic { bound.sqrt() } else { bound };
        let w = (sc * sc).max(R::lit(p.least.into()) * bound);
        let total = w + bound;
        let (shift, slope) = (w / total, total.recip());
        let start = &mut start[8 * e..][..8];
        (start[0], start[1], start[3]) = (shift, slope, R::zero());
        let margin = R::one() + R::lit(p.margin.into()) / shift.sqrt();
        start[2] = if s == R::zero() { s } else { c / w.sqrt() / margin };
        let schedule = &schedules[4 * grid_row(w, total, p.grid as usize) * most..][..4 * most];
        let plan = &mut plan[8 * e * products * most..][..8 * products * most];
        let mut begun = false;
        for (i, launches) in plan.chunks_exact_mut(8 * products).enumerate() {
            launches.fill(R::zero());
            let now = &schedule[4 * i..][..4];
            if now[3] == R::zero() {
                continue;
            }
            let scale = (i + 1 == most).then(|| (w / total).sqrt());
            iteration(launches, now, !begun, scale);
            if quintic && !begun {
                let two = R::one() + R::one();
                start[4] = now[0] + shift * (now[1] + shift * now[2]);
                start[5] = slope * (now[1] + two * shift * now[2]);
                (start[6], start[7]) = (slope * slope * now[2], R::zero());
            }
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
    if quintic && !first {
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

/// `p I + q S`, and `u I + v S + w S S`.
pub(in crate::spectral) fn clip_start<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: StartParams = args.params();
    let m = p.m as usize;
    let (both, quintic) = (args.constant_or("BOTH", 0) != 0, args.constant_or("QUINTIC", 0) != 0);
    let (s, squares, start) = (args.reals(0), args.reals(1), args.reals(2));
    let count = p.entries as usize * m * m;
    let begin = |e: usize| [start[8 * e], start[8 * e + 1], R::zero()];
    combined(args, 3, [s, s], m, count, &begin);
    if both {
        combined(args, 4, [s, s], m, count, &begin);
    }
    if quintic {
        let begin = |e: usize| std::array::from_fn(|i| start[8 * e + 4 + i]);
        combined(args, 5, [s, squares], m, count, &begin);
    }
}

/// `u I + v S + w T` to a binding, with the factors of each matrix.
fn combined<R: Real>(
    args: &mut HostArgs<'_, R>,
    binding: usize,
    [s, t]: [&[R]; 2],
    m: usize,
    count: usize,
    factors: &(dyn Fn(usize) -> [R; 3] + Sync),
) {
    let least = TASK.div_ceil(m);
    let fill = |y: &mut [R]| {
        let lines = y.par_chunks_exact_mut(m).zip(s.par_chunks_exact(m)).zip(t.par_chunks_exact(m));
        lines.enumerate().at_least(least).for_each(|(i, ((line, s), t))| {
            let [u, v, w] = factors(i / m);
            if w == R::zero() {
                line.iter_mut().zip(s).for_each(|(y, s)| *y = v * *s);
            } else {
                line.iter_mut().zip(s).zip(t).for_each(|((y, s), t)| *y = v * *s + w * *t);
            }
            line[i % m] += u;
        });
    };
    if args.is_real(binding) {
        fill(&mut args.reals_mut(binding)[..count]);
    } else {
        let mut values = vec![R::zero(); count];
        fill(&mut values);
        pack_halves(&values, &mut args.words_mut(binding)[..count / 2]);
    }
}
