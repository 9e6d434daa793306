//! The coefficients of every product of an iteration, chosen on the device from the bound.

use super::batch::TASK;
use super::norm::MatrixStats;
use super::schedule::Schedules;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, pack_halves};
use crate::kernel::Variant;
use crate::reduce::{ROWS, RowIterations, over_rows};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// Start and coefficients of the iteration of each matrix
    pub(super) static CLIP_PLAN = "spectral/clip_plan";
    params = struct ClipPlanParams {
        entries: u32,
        m: u32,
        grid: u32,
        most: u32,
        least: f32,
        margin: f32,
    };
    oracle = clip_plan_oracle;
    variants = ROWS;
    iterations = |args| {
        let p: ClipPlanParams = args.params();
        let (row, iterations) = (RowIterations::of(args, p.m), RowIterations::of(args, p.most));
        row.walk() + 2 * row.fold + u64::from(p.grid) + 8 * iterations.walk()
    };
}

crate::kernel! {
    /// `M = p I + q S`, and the first Q
    pub(super) static CLIP_START = "spectral/clip_start";
    params = struct ClipStartParams {
        entries: u32,
        m: u32,
    };
    oracle = clip_start_oracle;
    variants = STORED;
}

/// How what is written is stored.
pub(super) const STORED: &[Variant] =
    &[Variant::portable("f32", &[]), Variant::portable("f16", &["HALF_OUT"])];

/// The least share of the bound that the squared radius stands for, in f32: below, rounding makes
/// eigenvalues negative, and the iteration lets those grow.
const LEAST: f32 = 1.0 / (1u32 << 20) as f32;
/// The same in f16, whose rounding is coarser.
const LEAST_HALF: f32 = 1.0 / (1u32 << 12) as f32;

/// What f16 may add to the largest singular value of the outcome for each time that it is the radius: Z
/// is rounded as its largest eigenvalue is, and multiplies X along its smallest. The outcome is
/// divided by as much, so that it stays within the radius.
const MARGIN_HALF: f32 = 1e-4;

/// What an iteration is run by.
#[derive(Debug)]
pub(super) struct Plan {
    /// `[total, 2, 4]`: the first `M` is `p I + q S` with (p, q, r) in the first row, and the outcome is
    /// `r Z X`; the first `Q` is `u I + v S + w S S` with (u, v, w) in the second.
    pub(super) start: Tensor,
    /// `[total, launches, 2, 4]`.
    pub(super) plan: Tensor,
    pub(super) launches: usize,
}

impl Plan {
    /// The plans of `total` matrices from the sums of the rows of their `S`, of their `S S` where the
    /// schedules are quintic: `[total, m, 2]`. Iterations are stored as `dtype`.
    pub(super) fn new(
        rows: &Tensor,
        stats: &MatrixStats,
        schedules: &Schedules,
        dtype: DType,
    ) -> Result<Self> {
        let device = rows.device();
        let &[total, m, _] = rows.shape().dims() else {
            return Err(crate::Error::shape("clip_plan", format!("rows {}", rows.shape())));
        };
        let products = schedules.products();
        let (grid, most) = (schedules.grid(), schedules.most());
        let table = Tensor::from_slice(device, schedules.table(), [grid, most, 4])?;
        let start = Tensor::empty(device, [total, 2, 4], DType::F32)?;
        let launches = products * most;
        let plan = Tensor::empty(device, [total, launches, 2, 4], DType::F32)?;
        let (entries, grid, most) = (total as u32, grid as u32, most as u32);
        let half = dtype == DType::F16;
        let [least, margin] = if half { [LEAST_HALF, MARGIN_HALF] } else { [LEAST, 0.0] };
        let params = ClipPlanParams { entries, m: m as u32, grid, most, least, margin };
        let launch = over_rows(device, &CLIP_PLAN, &params, [total, m]);
        let launch = launch.constant("QUINTIC", products == 3);
        let launch =
            launch.bind("rows", rows).bind("stats", &stats.values).bind("schedules", &table);
        launch.bind("start", &start).bind("plan", &plan).record()?;
        Ok(Self { start, plan, launches })
    }

    /// Writes the first `M`, to `m1` as well if `both`, and with `[S S, Q]` the first `Q`.
    pub(super) fn write_start(
        &self,
        s: &Tensor,
        [m0, m1]: [&Tensor; 2],
        both: bool,
        first: Option<[&Tensor; 2]>,
    ) -> Result<()> {
        let &[total, m, _] = s.shape().dims() else {
            return Err(crate::Error::shape("clip_start", format!("S {}", s.shape())));
        };
        let device = s.device();
        let [squares, q] = [0, 1].map(|i| first.map(|pair| pair[i]));
        let params = ClipStartParams { entries: total as u32, m: m as u32 };
        let launch =
            device.launch(&CLIP_START).when("HALF_OUT", m0.dtype() == DType::F16).params(&params);
        let launch = launch.constant("BOTH", both);
        let launch = launch.constant("QUINTIC", first.is_some());
        let launch = launch.bind("s", s).bind_if("squares", squares).bind("start", &self.start);
        launch
            .bind("m0", m0)
            .bind_if("m1", both.then_some(m1))
            .bind_if("first", q)
            .items(total * m * m / 4)
            .record()
    }
}

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
fn clip_plan_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipPlanParams = args.params();
    let quintic = args.flag("QUINTIC");
    let [m, most] = [p.m, p.most].map(|v| v as usize);
    let (rows, stats, schedules) =
        (args.reals("rows"), args.reals("stats"), args.reals("schedules"));
    let (start, plan) = (args.reals_mut("start"), args.reals_mut("plan"));
    let products = if quintic { 3 } else { 2 };
    for e in 0..p.entries as usize {
        let rows = &rows[2 * e * m..][..2 * m];
        let widest = rows.iter().step_by(2).copied().fold(R::zero(), R::max);
        let norm = rows.iter().skip(1).step_by(2).copied().sum::<R>().sqrt();
        let [s, sc, c] = [stats[4 * e], stats[4 * e + 2], stats[4 * e + 3]];
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
fn clip_start_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipStartParams = args.params();
    let m = p.m as usize;
    let (both, quintic) = (args.flag("BOTH"), args.flag("QUINTIC"));
    let (s, squares, start) = (args.reals("s"), args.reals("squares"), args.reals("start"));
    let count = p.entries as usize * m * m;
    let begin = |e: usize| [start[8 * e], start[8 * e + 1], R::zero()];
    combined(args, "m0", [s, s], m, count, &begin);
    if both {
        combined(args, "m1", [s, s], m, count, &begin);
    }
    if quintic {
        let begin = |e: usize| std::array::from_fn(|i| start[8 * e + 4 + i]);
        combined(args, "first", [s, squares], m, count, &begin);
    }
}

/// `u I + v S + w T` to a binding, with the factors of each matrix.
fn combined<R: Real>(
    args: &mut HostArgs<'_, R>,
    binding: &str,
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
