//! Activations, as data: one table for the shader fragment, the twins and fused epilogues.

use crate::host::{Real, above_zero, greatest, keep_nan, limited};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`, derivative 0 at 0
    Relu,
    /// `x` for `x > 0`, else `slope x`
    LeakyRelu(f32),
    /// `x Phi(x)`, with the error function (Hendrycks and Gimpel 2016)
    Gelu,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    GeluTanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `tanh x`
    Tanh,
    /// `x sigmoid(x)`
    Silu,
    /// `ln(1 + e^x)`
    Softplus,
    /// `max(x, 0)^2` (So et al. 2021, section 3)
    SquaredRelu,
}

impl Activation {
    /// Its number in `shared/activation.wgsl`.
    pub(crate) fn code(self) -> u32 {
        match self {
            Activation::Identity => 0,
            Activation::Relu => 1,
            Activation::LeakyRelu(_) => 2,
            Activation::Gelu => 3,
            Activation::GeluTanh => 4,
            Activation::Sigmoid => 5,
            Activation::Tanh => 6,
            Activation::Silu => 7,
            Activation::Softplus => 8,
            Activation::SquaredRelu => 9,
        }
    }

    /// The activation of a number.
    pub(crate) fn from_code(code: u32, slope: f32) -> Self {
        match code {
            1 => Activation::Relu,
            2 => Activation::LeakyRelu(slope),
            3 => Activation::Gelu,
            4 => Activation::GeluTanh,
            5 => Activation::Sigmoid,
            6 => Activation::Tanh,
            7 => Activation::Silu,
            8 => Activation::Softplus,
            9 => Activation::SquaredRelu,
            _ => Activation::Identity,
        }
    }

    /// The slope of a leaky rectifier; 0 for the others.
    pub(crate) fn slope(self) -> f32 {
        if let Activation::LeakyRelu(slope) = self { slope } else { 0.0 }
    }

    /// Its value at `x`.
    pub(crate) fn apply<R: Real>(self, x: R) -> R {
        match self {
            Activation::Identity => x,
            Activation::Relu => greatest(x, R::zero()),
            Activation::LeakyRelu(slope) => {
                if x > R::zero() {
                    x
                } else {
                    R::lit(slope.into()) * x
                }
            }
            Activation::Gelu => x * normal_cdf(x),
            Activation::GeluTanh => x * sigmoid(R::lit(2.0) * gelu_inner(x)),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::Softplus => greatest(x, R::zero()) + (-x.abs()).exp().ln_1p(),
            Activation::SquaredRelu => greatest(x, R::zero()) * greatest(x, R::zero()),
        }
    }

    /// Its derivative at `x`; NaN of NaN.
    pub(crate) fn derivative<R: Real>(self, x: R) -> R {
        let one = R::one();
        match self {
            Activation::Identity => one,
            Activation::Relu => above_zero(x),
            Activation::LeakyRelu(slope) => {
                if x > R::zero() {
                    one
                } else {
                    keep_nan(x, R::lit(slope.into()))
                }
            }
            Activation::Gelu => {
                let density = (-R::lit(0.5) * x * x).exp() * R::lit(0.398_942_280_401_432_7);
                normal_cdf(x) + x * density
            }
            Activation::GeluTanh => {
                // Further out the slope is 0, and must not meet an x^2 that overflows.
                let near = limited(x, R::lit(-32.0), R::lit(32.0));
                let u = R::lit(2.0) * gelu_inner(near);
                let square = near * near;
                let inner = R::lit(2.0 * GELU_SCALE) * (one + R::lit(3.0 * GELU_CUBIC) * square);
                sigmoid(u) + x * sigmoid_slope(u) * inner
            }
            Activation::Sigmoid => sigmoid_slope(x),
            Activation::Tanh => R::lit(4.0) * sigmoid_slope(R::lit(2.0) * x),
            Activation::Silu => sigmoid(x) + x * sigmoid_slope(x),
            Activation::Softplus => sigmoid(x),
            Activation::SquaredRelu => R::lit(2.0) * greatest(x, R::zero()),
        }
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
