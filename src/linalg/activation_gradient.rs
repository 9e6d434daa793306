//! The gradient through the activation of a product's epilogue.

use crate::elementwise::{ACTIVATION_MODULE, Activation};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{Result, Tensor, kernel};

/// `gz = gy act'(z)`
fn activate_gradient<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivationGradientParams = args.params();
    let activation = Activation::from_code(args.constant("ACT"), p.slope);
    let from_output = args.flag("FROM_OUTPUT");
    let (gy, saved) = (args.reals("gy"), args.reals("saved"));
    let derivative = |at: R| {
        if from_output { derivative_from_output(activation, at) } else { activation.derivative(at) }
    };
    let gz = args.reals_mut("gz");
    let each = gz.par_iter_mut().zip(gy).zip(saved).at_least(1024);
    each.for_each(|((gz, gy), at)| *gz = *gy * derivative(*at));
}

fn derivative_from_output<R: Real>(activation: Activation, y: R) -> R {
    match activation {
        Activation::Sigmoid => y * (R::one() - y),
        Activation::Tanh => R::one() - y * y,
        Activation::Softplus => -(-y).exp_m1(),
        // The rectifiers have the sign of their input.
        rectifier => rectifier.derivative(y),
    }
}

kernel! {
    /// `gz = gy act'(z)`
    pub(super) static ACTIVATE_GRADIENT = "linalg/activate_gradient";
    params = struct ActivationGradientParams { count: u32, slope: f32 };
    oracle = activate_gradient;
    modules = ACTIVATION_MODULE;
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
    let params = ActivationGradientParams { count: gy.count() as u32, slope: activation.slope() };
    let launch = gy.device().launch(&ACTIVATE_GRADIENT).params(&params);
    launch
        .constant("ACT", activation.code())
        .constant("FROM_OUTPUT", from_output(activation))
        .bind("gy", gy)
        .bind("saved", saved)
        .bind("gz", &gz)
        .items(gy.count())
        .record()?;
    Ok(gz)
}
