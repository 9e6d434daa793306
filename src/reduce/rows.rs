//! Kernels that walk over rows: by one invocation a row, or by one workgroup.

use super::axes::Pass;
use crate::kernel::{Kernel, Needs, Variant};
use crate::{Capabilities, Device, Error, Launch, Result, Shape};
use bytemuck::NoUninit;

/// One invocation a row; one workgroup; one workgroup with subgroups.
pub(crate) const ROWS: &[Variant] = &[
    Variant { name: "invocation", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "workgroup", conditions: &["WORKGROUP"], needs: Needs::NOTHING },
    Variant { name: "subgroups", conditions: &["WORKGROUP"], needs: Needs::SUBGROUPS },
];

/// Without subgroups: the first of [`ROWS`].
pub(crate) const WALKERS: &[Variant] = &[ROWS[0], ROWS[1]];

/// Rows up to this length are walked by one invocation on hardware too.
const SHORT: usize = 64;

/// The turns of the loops over a row that one invocation takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowTurns {
    /// Elements of an invocation.
    steps: u64,
    /// Of a fold over those who share the row: of `shared/reduce.wgsl`.
    pub(crate) fold: u64,
}

impl RowTurns {
    /// Those of rows of `length` elements in a variant of [`ROWS`], or of a list of several of those.
    pub(crate) fn of(variant: usize, length: u32) -> Self {
        let (lanes, fold) = if variant.is_multiple_of(3) { (1, 0) } else { (256, 65) };
        Self { steps: u64::from(length).div_ceil(lanes), fold }
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

/// The place in [`ROWS`] of the variant for rows of `length` elements: barriers cost a software
/// adapter more than they save.
fn row_variant(capabilities: &Capabilities, length: usize) -> usize {
    match () {
        () if capabilities.software || length <= SHORT => 0,
        () if capabilities.subgroups => 2,
        () => 1,
    }
}

/// A launch of the kernel over `rows` rows of `length` elements, in the best of its variants, which
/// are those of [`ROWS`] or the first of them.
pub(crate) fn over_rows<P: NoUninit>(
    device: &Device,
    kernel: &'static Kernel,
    params: &P,
    [rows, length]: [usize; 2],
) -> Launch {
    let launch = device.launch(kernel).params(params);
    let (launch, way) = row_way(launch, 0, length);
    launch.items_of(rows, way.range)
}

/// Who walks over a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// The invocations that share a row.
    pub(crate) lanes: usize,
    /// The rows of a workgroup.
    pub(crate) range: u32,
}

/// A launch that has its parameters, in the best variant for rows of `length` elements, counted from
/// `first`: where [`ROWS`] stand in its kernel's list. One invocation takes no more of a row than
/// its device runs loops.
pub(crate) fn row_way(launch: Launch, first: usize, length: usize) -> (Launch, Way) {
    const ALONE: Way = Way { lanes: 1, range: 64 };
    const SHARED: Way = Way { lanes: 256, range: 1 };
    let last = (launch.kernel.variants.len() - 1).min(first + 2);
    let launch = launch.variant_at(first);
    match row_variant(launch.capabilities(), length) {
        0 if launch.ends() => (launch, ALONE),
        0 => (launch.variant_at(first + 1), SHARED),
        way => (launch.variant_at((first + way).min(last)), SHARED),
    }
}

/// A launch over `columns` columns: of one invocation each, so that neighbours read neighbours, or,
/// where a column is too long for that, of one workgroup each. Variants are [`WALKERS`].
pub(crate) fn over_columns<P: NoUninit>(
    device: &Device,
    kernel: &'static Kernel,
    params: &P,
    columns: usize,
) -> Launch {
    let launch = device.launch(kernel).params(params).variant_at(0);
    if launch.ends() {
        launch.items_of(columns, 64)
    } else {
        launch.variant_at(1).items_of(columns, 1)
    }
}

/// Gives a launch over `count` elements its grid: neighbouring elements are taken together where
/// that saves divisions (on software, which has no vector division), apart where it would part
/// neighbours in memory.
pub(crate) fn over_elements(device: &Device, launch: Launch, count: usize) -> Launch {
    let span: u32 = if device.capabilities().software { 16 } else { 1 };
    launch.constant("SPAN", span).items_of(count.div_ceil(span as usize), 64)
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
    pub(super) struct Extents {
        outer: u32,
        length: u32,
        inner: u32,
    }
}

impl From<Pass> for Extents {
    fn from(pass: Pass) -> Self {
        let (outer, length) = (pass.outer as u32, pass.length as u32);
        Self { outer, length, inner: pass.inner as u32 }
    }
}
