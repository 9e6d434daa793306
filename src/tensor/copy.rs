//! Copies: the bandwidth reference of the benchmarks.

use super::Tensor;
use super::items::{BY_FOUR, launch_items};
use crate::host::{HostArgs, Real};
use crate::{DType, Result};

crate::kernel! {
    /// `y[i] = x[i]`
    pub(super) static COPY = "tensor/copy";
    params = struct CopyParams { items: u32 };
    oracle = copy_oracle;
    variants = BY_FOUR;
}

fn copy_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    args.reals_mut("y").copy_from_slice(args.reals("x"));
}

/// A copy of an f32 tensor, made by a kernel that reads and writes every element once. What a
/// memory-bound kernel can reach on a device is measured with it; [`Tensor::duplicate`] copies by
/// the driver's command.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other element types; those of [`Tensor::empty`].
pub fn copy(x: &Tensor) -> Result<Tensor> {
    x.expect("copy", DType::F32)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, items) = launch_items(x.device(), &COPY, x.count());
    launch.params(&CopyParams { items }).bind("x", x).bind("y", &y).record()?;
    Ok(y)
}
