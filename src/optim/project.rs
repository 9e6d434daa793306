//! Gradients orthogonal to their parameters.

use super::norm::chunks;
use super::twin;
use crate::error::Result;
use crate::kernel::{Kernel, shader};
use crate::{DType, Tensor};

/// Sums of `g w`, `w^2` and `g^2` in parts, scaled to order one.
pub(super) static OVERLAP: Kernel =
    Kernel::new("optim", "overlap", shader!("optim/overlap"), crate::twin!(twin::overlap))
        .params::<OverlapParams>();

/// `y = s (g - (w.g / w.w) w)`
pub(super) static PROJECT: Kernel =
    Kernel::new("optim", "project", shader!("optim/project"), crate::twin!(twin::project))
        .params::<ProjectParams>();

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct OverlapParams {
    pub(super) count: u32,
    pub(super) chunk: u32,
    pub(super) groups: u32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct ProjectParams {
    pub(super) count: u32,
    pub(super) groups: u32,
}

/// The part of `gradient` that is orthogonal to `value`, with the norm of the whole: two launches.
pub(super) fn orthogonal(gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
    let (device, count) = (value.device(), value.count());
    let y = Tensor::empty(device, *value.shape(), DType::F32)?;
    if count == 0 {
        return Ok(y);
    }
    let (chunk, groups) = chunks(count);
    let partials = Tensor::empty(device, [groups as usize, 5], DType::F32)?;
    // A software adapter pays for every barrier; one invocation a workgroup needs none.
    let software = device.capabilities().software;
    let params = OverlapParams { count: count as u32, chunk, groups };
    let launch = device.launch(&OVERLAP).params(&params);
    let launch = launch.constant("WG", if software { 1u32 } else { 256 });
    launch.bind(gradient).bind(value).bind(&partials).groups([groups, 1, 1]).record()?;
    let params = ProjectParams { count: count as u32, groups };
    let launch = device.launch(&PROJECT).params(&params);
    let launch = launch.bind(gradient).bind(value).bind(&partials).bind(&y);
    launch.items(count.div_ceil(64), 64).record()?;
    Ok(y)
}
