//! Sums of gradients.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{Result, Tensor};

/// `sum[i] += x[i]`
pub(super) static ACCUMULATE: Kernel = Kernel::new(
    "elementwise",
    "accumulate",
    shader!("elementwise/accumulate"),
    crate::twin!(twin::accumulate),
)
.params::<Params>();

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) count: u32,
}

/// `sum + x`, in `sum`'s memory where nobody else holds it.
pub(crate) fn accumulate(sum: Tensor, x: Tensor) -> Result<Tensor> {
    let sum = if sum.is_unshared() { sum } else { sum.duplicate()? };
    let params = Params { count: sum.count() as u32 };
    let launch = sum.device().launch(&ACCUMULATE).params(&params);
    launch.bind(&sum).bind(&x).items(sum.count(), 64).record()?;
    Ok(sum)
}
