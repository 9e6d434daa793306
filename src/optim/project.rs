//! Gradients orthogonal to their parameters.

use super::norm::chunks;
use super::twin;
use crate::error::Result;
use crate::kernel::{Kernel, shader};
use crate::{DType, Tensor};

/// Sums of `g w`, `w^2` and `g^2` in parts, scaled to order one.
pub(super) static OVERLAP: Kernel =
    Kernel::new("optim", "overlap", shader!("optim/overlap"), crate::twin!(twin::overlap))
        .params::<OverlapParams>()
        .turns(|args| {
            let share = u64::from(args.params::<OverlapParams>().chunk);
            let share = share.div_ceil(args.constant_or("WG", 256).max(1));
            2 * share + 2 * share.div_ceil(64) + 24
        });

/// `y = s (g - (w.g / w.w) w)`
pub(super) static PROJECT: Kernel =
    Kernel::new("optim", "project", shader!("optim/project"), crate::twin!(twin::project))
        .params::<ProjectParams>()
        .turns(|args| 70 + 2 * u64::from(args.params::<ProjectParams>().groups));

crate::params! {
    pub(super) struct OverlapParams {
        count: u32,
        chunk: u32,
        groups: u32,
    }
}

crate::params! {
    pub(super) struct ProjectParams {
        count: u32,
        groups: u32,
    }
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
    let params = OverlapParams { count: count as u32, chunk, groups };
    let launch = device.launch(&OVERLAP).params(&params).sharing();
    launch
        .bind_next(gradient)
        .bind_next(value)
        .bind_next(&partials)
        .groups([groups, 1, 1])
        .record()?;
    let params = ProjectParams { count: count as u32, groups };
    let launch = device.launch(&PROJECT).params(&params);
    let launch = launch.bind_next(gradient).bind_next(value).bind_next(&partials).bind_next(&y);
    launch.items_of(count.div_ceil(64), 64).record()?;
    Ok(y)
}
