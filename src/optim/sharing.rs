//! Workgroups whose invocations share one sum.

use crate::kernel::Kernel;
use crate::{Device, Launch};

/// A launch of a kernel whose workgroups share a sum, with the first size of workgroup whose loops the
/// device runs to their end.
pub(super) fn launch_sharing<P: bytemuck::NoUninit>(
    device: &Device,
    kernel: &'static Kernel,
    params: &P,
) -> Launch {
    device.launch(kernel).params(params).first_that_ends("WG", device.tuning().sharing_groups)
}
