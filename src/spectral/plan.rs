//! The coefficients of every product of an iteration, chosen on the device from the bound.

use super::norm::Facts;
use super::schedule::Schedules;
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::reduce::{ROWS, over_rows};
use crate::{DType, Result, Tensor};

/// Start and coefficients of the iteration of each matrix
pub(super) static CLIP_PLAN: Kernel = Kernel::new(
    "spectral",
    "clip_plan",
    shader!("spectral/clip_plan"),
    crate::twin!(twin::clip_plan),
)
.params::<PlanParams>()
.variants(ROWS);

/// `M = p I + q S`
pub(super) static CLIP_START: Kernel = Kernel::new(
    "spectral",
    "clip_start",
    shader!("spectral/clip_start"),
    crate::twin!(twin::clip_start),
)
.params::<StartParams>();

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct PlanParams {
    pub(super) entries: u32,
    pub(super) m: u32,
    pub(super) grid: u32,
    pub(super) most: u32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct StartParams {
    pub(super) entries: u32,
    pub(super) m: u32,
}

/// What an iteration is run by.
#[derive(Debug)]
pub(super) struct Plan {
    /// `[total, 2]`: the first `M` is `p I + q S`.
    pub(super) start: Tensor,
    /// `[total, launches, 2, 4]`.
    pub(super) plan: Tensor,
    pub(super) launches: usize,
}

impl Plan {
    /// The plans of `total` matrices from the sums of the rows of their `S`, `[total, m, 2]`.
    pub(super) fn new(rows: &Tensor, facts: &Facts, schedules: &Schedules) -> Result<Self> {
        let device = rows.device();
        let &[total, m, _] = rows.shape().dims() else {
            return Err(crate::Error::shape("clip_plan", format!("rows {}", rows.shape())));
        };
        let products = schedules.products();
        let (grid, most) = (schedules.grid(), schedules.most());
        let table = Tensor::from_slice(device, schedules.table(), [grid, most, 4])?;
        let start = Tensor::empty(device, [total, 2], DType::F32)?;
        let launches = products * most;
        let plan = Tensor::empty(device, [total, launches, 2, 4], DType::F32)?;
        let (entries, grid, most) = (total as u32, grid as u32, most as u32);
        let params = PlanParams { entries, m: m as u32, grid, most };
        let launch = over_rows(device, &CLIP_PLAN, total, m).params(&params);
        let launch = launch.constant("QUINTIC", u32::from(products == 3));
        let launch = launch.bind(rows).bind(&facts.facts).bind(&table);
        launch.bind(&start).bind(&plan).record()?;
        Ok(Self { start, plan, launches })
    }

    /// Writes the first `M`, to `m1` as well if it is given.
    pub(super) fn write_start(&self, s: &Tensor, m0: &Tensor, m1: Option<&Tensor>) -> Result<()> {
        let &[total, m, _] = s.shape().dims() else {
            return Err(crate::Error::shape("clip_start", format!("S {}", s.shape())));
        };
        let unused;
        let other = match m1 {
            Some(m1) => m1,
            None => {
                unused = Tensor::empty(s.device(), [4], DType::F32)?;
                &unused
            }
        };
        let params = StartParams { entries: total as u32, m: m as u32 };
        let launch = s.device().launch(&CLIP_START).params(&params);
        let launch = launch.constant("BOTH", u32::from(m1.is_some()));
        let launch = launch.bind(s).bind(&self.start).bind(m0).bind(other);
        launch.items(total * m * m / 4, 64).record()
    }
}
