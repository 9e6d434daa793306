//! Constant tensors.

use super::Tensor;
use crate::host::{HostArgs, Real};
use crate::{DType, Device, IntoShape, Result};

crate::kernel! {
    /// `y[i] = value`
    pub(super) static FILL = "tensor/fill";
    params = struct FillParams { count: u32, value: f32 };
    oracle = fill_oracle;
}

fn fill_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: FillParams = args.params();
    args.reals_mut("y").fill(R::lit(p.value.into()));
}

/// A tensor whose elements are all `value`.
///
/// # Errors
/// Those of [`Tensor::empty`].
pub fn full(device: &Device, shape: impl IntoShape, value: f32) -> Result<Tensor> {
    let y = Tensor::empty(device, shape, DType::F32)?;
    let params = FillParams { count: y.count() as u32, value };
    device.launch(&FILL).params(&params).bind("y", &y).items(y.count()).record()?;
    Ok(y)
}

/// A tensor of the shape and on the device of `like`, whose elements are all `value`.
///
/// # Errors
/// Those of [`Tensor::empty`].
pub fn full_like(like: &Tensor, value: f32) -> Result<Tensor> {
    full(like.device(), *like.shape(), value)
}
