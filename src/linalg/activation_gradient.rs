//! The gradient through the activation of a product's epilogue.

use super::twin;
use crate::elementwise::Activation;
use crate::kernel::{Kernel, shader};
use crate::{Result, Tensor};

/// `gz = gy act'(z)`
pub(super) static ACTIVATE_GRADIENT: Kernel = Kernel::new(
    "linalg",
    "activate_gradient",
    shader!("linalg/activate_gradient"),
    crate::twin!(twin::activate_gradient),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        count: u32,
        slope: f32,
    }
}

/// Whether the derivative is a function of the activation's value, so that the output serves as what
/// backward needs and no pre-activation is saved.
pub(super) fn from_output(activation: Activation) -> bool {
    match activation {
        Activation::LeakyRelu(slope) => slope > 0.0,
        Activation::Identity
        | Activation::Relu
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Softplus => true,
        Activation::Gelu | Activation::GeluTanh | Activation::Silu | Activation::SquaredRelu => {
            false
        }
    }
}

/// `gy act'(z)`; `saved` is the output where [`from_output`] holds, else `z`.
pub(super) fn through(activation: Activation, gy: &Tensor, saved: &Tensor) -> Result<Tensor> {
    if activation == Activation::Identity {
        return Ok(gy.clone());
    }
    let gz = Tensor::empty(gy.device(), *gy.shape(), gy.dtype())?;
    let params = Params { count: gy.count() as u32, slope: activation.slope() };
    let launch = gy.device().launch(&ACTIVATE_GRADIENT).params(&params);
    launch
        .constant("ACT", activation.code())
        .constant("FROM_OUTPUT", u32::from(from_output(activation)))
        .bind_next(gy)
        .bind_next(saved)
        .bind_next(&gz)
        .items_of(gy.count(), 64)
        .record()?;
    Ok(gz)
}
