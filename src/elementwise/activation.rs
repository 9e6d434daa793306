//! Activations: data for fused epilogues, and operators.

use super::table::functions;
use crate::host::{HostArgs, Real, above_zero, each, greatest, keep_nan, limited};
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Error, Result, Tensor, Var};

functions! {
    /// An activation function.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Activation by activate;
    module ACTIVATION_MODULE = "elementwise::activation", "\
// Activations and their derivatives, by number: made of the table in `elementwise/activation.rs`.

import package::shared::curves::{
    gelu_inner, gelu_tanh_slope, normal_cdf, relu, sigmoid, sigmoid_slope, tanh_safe,
};
import package::shared::finite::keep_nan;
import package::shared::math::{exp_below, ln_1p};

",
        "fn activate(kind: u32, slope: f32, x: f32) -> f32",
        "// At the argument; NaN of NaN.
fn activate_derivative(kind: u32, slope: f32, saved: f32) -> f32";

    /// `x`
    0 Identity identity[] {
        value(x) = x, "x";
        derivative(x) = R::one(), "1.0";
        second(x) = R::zero();
    }
    /// `max(x, 0)`, derivative 0 at 0
    1 Relu relu[] {
        value(x) = greatest(x, R::zero()), "relu(x)";
        derivative(x) = above_zero(x), "keep_nan(x, select(0.0, 1.0, x > 0.0))";
        second(x) = keep_nan(x, R::zero());
    }
    /// `x` for `x > 0`, else `slope x`
    2 LeakyRelu leaky_relu[0: slope] where (f32) {
        value(x) = if x > R::zero() { x } else { slope * x }, "select(slope * x, x, x > 0.0)";
        derivative(x) = keep_nan(x, if x > R::zero() { R::one() } else { slope }),
            "keep_nan(x, select(slope, 1.0, x > 0.0))";
        second(x) = keep_nan(x, R::zero());
    }
    /// `x Phi(x)`, with the normal distribution function (Hendrycks and Gimpel 2016)
    3 Gelu gelu[] {
        value(x) = x * normal_cdf(x), "x * normal_cdf(x)";
        derivative(x) = normal_cdf(x) + x * normal_density(x),
            "normal_cdf(x) + x * 0.3989422804 * exp_below(-0.5 * x * x)";
        second(x) = normal_density(x) * (R::lit(2.0) - x * x);
    }
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (Hendrycks and Gimpel 2016)
    4 GeluTanh gelu_tanh[] {
        value(x) = x * sigmoid(R::lit(2.0) * gelu_inner(x)), "x * sigmoid(2.0 * gelu_inner(x))";
        derivative(x) = gelu_tanh_slope(x), "gelu_tanh_slope(x)";
        second(x) = gelu_tanh_bend(x);
    }
    /// `1 / (1 + e^-x)`
    5 Sigmoid sigmoid[] {
        value(x) = sigmoid(x), "sigmoid(x)";
        derivative(x) = sigmoid_slope(x), "sigmoid_slope(x)";
        second(x) = sigmoid_bend(x);
    }
    /// `tanh x`
    6 Tanh tanh[] {
        value(x) = x.tanh(), "tanh_safe(x)";
        derivative(x) = R::lit(4.0) * sigmoid_slope(R::lit(2.0) * x),
            "4.0 * sigmoid_slope(2.0 * x)";
        second(x) = R::lit(8.0) * sigmoid_bend(R::lit(2.0) * x);
    }
    /// `x sigmoid(x)`
    7 Silu silu[] {
        value(x) = x * sigmoid(x), "x * sigmoid(x)";
        derivative(x) = sigmoid(x) + x * sigmoid_slope(x), "sigmoid(x) + x * sigmoid_slope(x)";
        second(x) = R::lit(2.0) * sigmoid_slope(x) + x * sigmoid_bend(x);
    }
    /// `ln(1 + e^x)`
    8 Softplus softplus[] {
        value(x) = greatest(x, R::zero()) + (-x.abs()).exp().ln_1p(),
            "relu(x) + ln_1p(exp_below(-abs(x)))";
        derivative(x) = sigmoid(x), "sigmoid(x)";
        second(x) = sigmoid_slope(x);
    }
    /// `max(x, 0)^2` (So et al. 2021, section 3)
    9 SquaredRelu squared_relu[] {
        value(x) = greatest(x, R::zero()) * greatest(x, R::zero()), "relu(x) * relu(x)";
        derivative(x) = R::lit(2.0) * greatest(x, R::zero()), "2.0 * relu(x)";
        second(x) = R::lit(2.0) * above_zero(x);
    }
}

// Not derived: a row's attributes are those of its methods too.
#[allow(clippy::derivable_impls)]
impl Default for Activation {
    fn default() -> Self {
        Activation::Identity
    }
}

impl Activation {
    /// The activation of a code.
    pub(crate) fn from_code(code: u32, slope: f32) -> Self {
        Self::of(code, [slope, 0.0])
    }

    /// The slope of a leaky rectifier; 0 for the others.
    pub(crate) fn slope(self) -> f32 {
        self.constants()[0]
    }
}

/// `sqrt(2 / pi)`
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBIC: f64 = 0.044_715;

fn gelu_inner<R: Real>(x: R) -> R {
    R::lit(GELU_SCALE) * (x + R::lit(GELU_CUBIC) * x * x * x)
}

/// `1 / (1 + e^-x)` from the exponential of a non-positive number only.
pub(crate) fn sigmoid<R: Real>(x: R) -> R {
    let e = (-x.abs()).exp();
    if x >= R::zero() { R::one() / (R::one() + e) } else { e / (R::one() + e) }
}

/// `sigmoid'(x)`, without the cancellation of `1 - sigmoid(x)`.
fn sigmoid_slope<R: Real>(x: R) -> R {
    let e = (-x.abs()).exp();
    e / ((R::one() + e) * (R::one() + e))
}

/// The normal distribution function, with relative accuracy in its lower tail.
fn normal_cdf<R: Real>(x: R) -> R {
    let tail = R::lit(0.5 * libm::erfc(x.abs().f64() * std::f64::consts::FRAC_1_SQRT_2));
    if x >= R::zero() { R::one() - tail } else { tail }
}

/// `sigmoid''(x)`
fn sigmoid_bend<R: Real>(x: R) -> R {
    sigmoid_slope(x) * (sigmoid(-x) - sigmoid(x))
}

/// The normal density.
fn normal_density<R: Real>(x: R) -> R {
    (-R::lit(0.5) * x * x).exp() * R::lit(0.398_942_280_401_432_7)
}

/// Further out the slope of `gelu_tanh` does not change, and must not meet an `x^2` that overflows.
fn near<R: Real>(x: R) -> R {
    limited(x, R::lit(-32.0), R::lit(32.0))
}

/// The derivative of twice [`gelu_inner`].
fn gelu_inner_slope<R: Real>(x: R) -> R {
    R::lit(2.0 * GELU_SCALE) * (R::one() + R::lit(3.0 * GELU_CUBIC) * x * x)
}

fn gelu_tanh_slope<R: Real>(x: R) -> R {
    let u = R::lit(2.0) * gelu_inner(near(x));
    sigmoid(u) + x * sigmoid_slope(u) * gelu_inner_slope(near(x))
}

fn gelu_tanh_bend<R: Real>(x: R) -> R {
    let x = near(x);
    let (u, slope) = (R::lit(2.0) * gelu_inner(x), gelu_inner_slope(x));
    let bend = R::lit(12.0 * GELU_SCALE * GELU_CUBIC) * x;
    let inner = sigmoid_bend(u) * slope * slope + sigmoid_slope(u) * bend;
    R::lit(2.0) * sigmoid_slope(u) * slope + x * inner
}

crate::params! {
    pub(super) struct ActivateParams {
        items: u32,
        slope: f32,
    }
}

crate::kernel! {
    /// `y[i] = activation(x[i])`
    pub(super) static ACTIVATE = "elementwise/activate";
    params = ActivateParams;
    oracle = activate_oracle;
    modules = ACTIVATION_MODULE;
    variants = BY_FOUR;
    cost = |args| args.one_operation_each("y");
}

crate::kernel! {
    /// `gx[i] = g[i] activation'(x[i])`
    pub(super) static ACTIVATE_BACKWARD = "elementwise/activate_backward";
    params = ActivateParams;
    oracle = activate_backward_oracle;
    modules = ACTIVATION_MODULE;
    variants = BY_FOUR;
    cost = |args| args.one_operation_each("gx");
}

fn activate_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::of(args.constant("KIND"), [p.slope, 0.0]);
    let x = args.reals("x");
    each(args.reals_mut("y"), |i| f.apply(x[i]));
}

fn activate_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::of(args.constant("KIND"), [p.slope, 0.0]);
    let (x, g) = (args.reals("saved"), args.reals("g"));
    each(args.reals_mut("gx"), |i| g[i] * f.derivative(x[i]));
}

/// The activation of every element.
///
/// # Errors
/// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a slope that is not finite.
pub fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    x.expect("activate", DType::F32)?;
    if !activation.slope().is_finite() {
        return Err(Error::argument(
            "activate",
            format!("{activation:?}: the slope is not finite"),
        ));
    }
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, items) = launch_items(x.device(), &ACTIVATE, x.count());
    let params = ActivateParams { items, slope: activation.slope() };
    launch
        .constant("KIND", activation.code())
        .params(&params)
        .bind("x", x)
        .bind("y", &y)
        .record()?;
    Ok(y)
}

/// `g activation'(x)` of every element: the gradient of the input, from the input and the gradient
/// of the output.
///
/// # Errors
/// [`Error::DType`] for other elements than f32; [`Error::Shape`] for different shapes.
pub fn activate_backward(activation: Activation, x: &Tensor, g: &Tensor) -> Result<Tensor> {
    x.expect("activate_backward", DType::F32)?;
    g.expect("activate_backward", DType::F32)?;
    if x.shape() != g.shape() {
        let detail = format!("a gradient of {} for an input of {}", g.shape(), x.shape());
        return Err(Error::shape("activate_backward", detail));
    }
    let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, items) = launch_items(x.device(), &ACTIVATE_BACKWARD, x.count());
    let params = ActivateParams { items, slope: activation.slope() };
    let launch = launch.constant("KIND", activation.code()).params(&params);
    launch.bind("saved", x).bind("g", g).bind("gx", &gx).record()?;
    Ok(gx)
}

impl Var {
    /// The activation of every element. Backward is one launch that recomputes it from the input.
    ///
    /// # Errors
    /// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a slope that is not
    /// finite.
    pub fn activate(&self, activation: Activation) -> Result<Var> {
        if activation == Activation::Identity {
            return Ok(self.clone());
        }
        let y = activate(activation, self.value())?;
        let x = self.value().clone();
        self.tape().record_one(activation.name(), &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = activate_backward(activation, &x, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}
