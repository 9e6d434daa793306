//! Kernels that walk over rows: by one invocation a row, or by one workgroup.

use super::axes::Pass;
use crate::kernel::{CostArgs, Kernel, Needs, Variant};
use crate::{Device, Error, Launch, Result, Shape};
use bytemuck::NoUninit;

/// One invocation a row; one workgroup; one workgroup with subgroups.
pub(crate) const ROWS: &[Variant] = &[
    Variant::portable("invocation", &[]),
    Variant::portable("workgroup", &["WORKGROUP"]),
    Variant { name: "subgroups", conditions: &["WORKGROUP"], needs: Needs::SUBGROUPS },
];

/// Without subgroups: the first of [`ROWS`].
pub(crate) const WALKERS: &[Variant] = &[ROWS[0], ROWS[1]];

/// The invocations that share a row: `LANES` of `shared/reduce.wgsl`.
pub(crate) const SHARERS: usize = 256;

/// The iterations of the loops over a row that one invocation takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowIterations {
    /// Elements of an invocation.
    steps: u64,
    /// Of a fold over those who share the row: of `shared/reduce.wgsl`.
    pub(crate) fold: u64,
}

impl RowIterations {
    /// Those of rows of `length` elements in a launch that says whether a workgroup shares one
    /// (condition `WORKGROUP`).
    pub(crate) fn of(args: &CostArgs<'_>, length: u32) -> Self {
        if !args.when("WORKGROUP") {
            return Self::alone(length);
        }
        Self { steps: u64::from(length).div_ceil(SHARERS as u64), fold: 65 }
    }

    /// Those of rows that one invocation walks along.
    pub(crate) fn alone(length: u32) -> Self {
        Self { steps: u64::from(length), fold: 0 }
    }

    /// One walk over the row.
    pub(crate) fn walk(self) -> u64 {
        self.steps + 1
    }

    /// One walk in chains of 64.
    pub(crate) fn chains(self) -> u64 {
        self.steps + 2 * self.steps.div_ceil(64) + 1
    }
}

/// A launch of the kernel over `rows` rows of `length` elements, each walked by one invocation or
/// shared by a workgroup: its variants are [`ROWS`] or [`WALKERS`].
pub(crate) fn over_rows<P: NoUninit>(
    device: &Device,
    kernel: &'static Kernel,
    params: &P,
    [rows, length]: [usize; 2],
) -> Launch {
    let launch = device.launch(kernel).params(params);
    let shared = rows_shared(device, &launch, length);
    walked(launch, shared, rows)
}

/// Whether workgroups should share rows of `length` elements: barriers cost some devices more than they
/// save, but one invocation takes no more of a row than its device runs loops. The launch has its
/// parameters and its other conditions.
pub(crate) fn rows_shared(device: &Device, launch: &Launch, length: usize) -> bool {
    length > device.tuning().short_row || !launch.ends()
}

/// The launch over `rows` rows, each of one invocation or shared by a workgroup.
pub(crate) fn walked(launch: Launch, shared: bool, rows: usize) -> Launch {
    let launch = launch.when("WORKGROUP", shared);
    if shared { launch.workgroups(rows) } else { launch.items(rows) }
}

/// A launch over `columns` columns: of one invocation each, so that neighbours read neighbours, or,
/// where a column is too long for that, of one workgroup each. Variants are [`WALKERS`].
pub(crate) fn over_columns<P: NoUninit>(
    device: &Device,
    kernel: &'static Kernel,
    params: &P,
    columns: usize,
) -> Launch {
    let launch = device.launch(kernel).params(params);
    let shared = !launch.ends();
    walked(launch, shared, columns)
}

/// Gives a launch over `count` elements its grid, each invocation a span of them.
pub(crate) fn over_elements(device: &Device, launch: Launch, count: usize) -> Launch {
    let span = device.tuning().span;
    launch.constant("SPAN", span).items(count.div_ceil(span as usize))
}

/// The rows along one axis.
///
/// # Errors
/// [`Error::Argument`] for an axis that `shape` does not have.
pub(super) fn along(op: &'static str, shape: &Shape, axis: usize) -> Result<Pass> {
    if axis >= shape.rank() {
        let detail = format!("axis {axis} of shape {shape}, which has {}", shape.rank());
        return Err(Error::argument(op, detail));
    }
    let (outer, length, inner) = shape.around(axis)?;
    Ok(Pass { outer, length, inner })
}

crate::params! {
    /// Extents of `[outer, length, inner]`: the parameters of kernels that need no more.
    pub(crate) struct Extents {
        outer: u32,
        length: u32,
        inner: u32,
    }
}

impl Extents {
    /// Where row `row` of `[outer, length, inner]` starts.
    pub(super) fn row_start(&self, row: usize) -> usize {
        let inner = self.inner as usize;
        row / inner * self.length as usize * inner + row % inner
    }
}

impl From<Pass> for Extents {
    fn from(pass: Pass) -> Self {
        let (outer, length) = (pass.outer as u32, pass.length as u32);
        Self { outer, length, inner: pass.inner as u32 }
    }
}
