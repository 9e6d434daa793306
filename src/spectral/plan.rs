//! The coefficients of every product of an iteration, chosen on the device from the bound.

use super::norm::Facts;
use super::schedule::Schedules;
use super::twin;
use crate::kernel::{Kernel, Variant, shader};
use crate::reduce::{ROWS, RowTurns, over_rows};
use crate::{DType, Result, Tensor};

/// Start and coefficients of the iteration of each matrix
pub(super) static CLIP_PLAN: Kernel = Kernel::new(
    "spectral",
    "clip_plan",
    shader!("spectral/clip_plan"),
    crate::twin!(twin::clip_plan),
)
.params::<PlanParams>()
.variants(ROWS)
.turns(|args| {
    let p: PlanParams = args.params();
    let (row, iterations) = (RowTurns::of(args, p.m), RowTurns::of(args, p.most));
    row.walk() + 2 * row.fold + u64::from(p.grid) + 8 * iterations.walk()
});

/// `M = p I + q S`, and the first Q
pub(super) static CLIP_START: Kernel = Kernel::new(
    "spectral",
    "clip_start",
    shader!("spectral/clip_start"),
    crate::twin!(twin::clip_start),
)
.params::<StartParams>()
.variants(STORED);

/// How what is written is stored.
pub(super) const STORED: &[Variant] =
    &[Variant::portable("f32", &[]), Variant::portable("f16", &["HALF_OUT"])];

/// The place in [`STORED`] of a type.
pub(super) fn stored(dtype: DType) -> usize {
    usize::from(dtype == DType::F16)
}

/// The least share of the bound that the squared radius stands for, in f32: below, rounding makes
/// eigenvalues negative, and the iteration lets those grow.
const LEAST: f32 = 1.0 / (1u32 << 20) as f32;
/// The same in f16, whose rounding is coarser.
const LEAST_HALF: f32 = 1.0 / (1u32 << 12) as f32;

/// What f16 may add to the largest singular value of the outcome for each time that it is the radius: Z
/// is rounded as its largest eigenvalue is, and multiplies X along its smallest. The outcome is
/// divided by as much, so that it stays within the radius.
const MARGIN_HALF: f32 = 1e-4;

crate::params! {
    pub(super) struct PlanParams {
        entries: u32,
        m: u32,
        grid: u32,
        most: u32,
        least: f32,
        margin: f32,
    }
}

crate::params! {
    pub(super) struct StartParams {
        entries: u32,
        m: u32,
    }
}

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
        facts: &Facts,
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
        let params = PlanParams { entries, m: m as u32, grid, most, least, margin };
        let launch = over_rows(device, &CLIP_PLAN, &params, [total, m]);
        let launch = launch.constant("QUINTIC", u32::from(products == 3));
        let launch = launch.bind_next(rows).bind_next(&facts.facts).bind_next(&table);
        launch.bind_next(&start).bind_next(&plan).record()?;
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
        let unused = Tensor::empty(device, [8], m0.dtype())?;
        let other = Tensor::empty(device, [8], m0.dtype())?;
        let [squares, q] = first.unwrap_or([s, &unused]);
        let m1 = if both { m1 } else { &other };
        let params = StartParams { entries: total as u32, m: m as u32 };
        let launch = device.launch(&CLIP_START).variant_at(stored(m0.dtype())).params(&params);
        let launch = launch.constant("BOTH", u32::from(both));
        let launch = launch.constant("QUINTIC", u32::from(first.is_some()));
        let launch = launch.bind_next(s).bind_next(squares).bind_next(&self.start);
        launch.bind_next(m0).bind_next(m1).bind_next(q).items_of(total * m * m / 4, 64).record()
    }
}
