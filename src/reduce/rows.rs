//! Kernels that walk over rows: by one invocation a row, or by one workgroup.

use super::axes::Pass;
use crate::kernel::{Kernel, Needs, Variant};
use crate::{Device, Error, Launch, Result, Shape};

/// One invocation a row; one workgroup; one workgroup with subgroups.
pub(crate) const ROWS: &[Variant] = &[
    Variant { name: "invocation", features: &[], needs: Needs::NOTHING },
    Variant { name: "workgroup", features: &["WORKGROUP"], needs: Needs::NOTHING },
    Variant { name: "subgroups", features: &["WORKGROUP", "SUBGROUPS"], needs: Needs::SUBGROUPS },
];

/// Rows up to this length are walked by one invocation on hardware too.
const SHORT: usize = 64;

/// The place in [`ROWS`] of the variant for rows of `length` elements: barriers cost a software
/// adapter more than they save.
pub(crate) fn row_variant(device: &Device, length: usize) -> usize {
    let capabilities = device.capabilities();
    match () {
        () if capabilities.software || length <= SHORT => 0,
        () if capabilities.subgroups => 2,
        () => 1,
    }
}

/// A launch of the kernel over `rows` rows of `length` elements, in the best of its variants, the
/// first `known` of [`ROWS`].
pub(crate) fn over_rows(
    device: &Device,
    kernel: &'static Kernel,
    rows: usize,
    length: usize,
) -> Launch {
    let variant = row_variant(device, length).min(kernel.variants.len() - 1);
    let range = if variant == 0 { 64 } else { 1 };
    device.launch(kernel).variant(variant).items(rows, range)
}

/// Gives a launch over `count` elements its grid: neighbouring elements are taken together where
/// that saves divisions (on software, which has no vector division), apart where it would part
/// neighbours in memory.
pub(crate) fn over_elements(device: &Device, launch: Launch, count: usize) -> Launch {
    let span: u32 = if device.capabilities().software { 16 } else { 1 };
    launch.constant("SPAN", span).items(count.div_ceil(span as usize), 64)
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

/// Extents of `[outer, length, inner]`: the parameters of kernels that need no more.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Extents {
    pub(super) outer: u32,
    pub(super) length: u32,
    pub(super) inner: u32,
}

impl From<Pass> for Extents {
    fn from(pass: Pass) -> Self {
        let (outer, length) = (pass.outer as u32, pass.length as u32);
        Self { outer, length, inner: pass.inner as u32 }
    }
}
