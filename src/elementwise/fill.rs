//! Constant tensors.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Device, IntoShape, Result, Tensor};

/// `y[i] = value`
pub(super) static FILL: Kernel =
    Kernel::new("elementwise", "fill", shader!("elementwise/fill"), crate::twin!(twin::fill))
        .params::<Params>();

crate::params! {
    pub(super) struct Params {
        count: u32,
        value: f32,
    }
}

/// A tensor whose elements are all `value`.
///
/// # Errors
/// Those of [`Tensor::empty`].
pub fn full(device: &Device, shape: impl IntoShape, value: f32) -> Result<Tensor> {
    let y = Tensor::empty(device, shape, DType::F32)?;
    let params = Params { count: y.count() as u32, value };
    device.launch(&FILL).params(&params).bind_next(&y).items_of(y.count(), 64).record()?;
    Ok(y)
}

/// A tensor of the shape and on the device of `like`, whose elements are all `value`.
///
/// # Errors
/// Those of [`Tensor::empty`].
pub fn full_like(like: &Tensor, value: f32) -> Result<Tensor> {
    full(like.device(), *like.shape(), value)
}
