//! Activations, as data: one table for the shader fragment, the twins and fused epilogues.

use crate::host::Real;

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
            _ => Activation::Identity,
        }
    }

    /// The slope of a leaky rectifier; 0 for the others.
    pub(crate) fn slope(self) -> f32 {
        if let Activation::LeakyRelu(slope) = self { slope } else { 0.0 }
    }

    /// Its value at `x`.
    pub(crate) fn apply<R: Real>(self, x: R) -> R {
        let half = R::lit(0.5);
        match self {
            Activation::Identity => x,
            Activation::Relu => x.max(R::zero()),
            Activation::LeakyRelu(slope) => {
                if x > R::zero() {
                    x
                } else {
                    R::lit(slope.into()) * x
                }
            }
            Activation::Gelu => half * x * (R::one() + (x * R::FRAC_1_SQRT_2()).erf()),
            Activation::GeluTanh => half * x * (R::one() + gelu_inner(x).tanh()),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::Softplus => x.max(R::zero()) + (-x.abs()).exp().ln_1p(),
        }
    }

    /// Its derivative at `x`.
    pub(crate) fn derivative<R: Real>(self, x: R) -> R {
        let (one, half) = (R::one(), R::lit(0.5));
        match self {
            Activation::Identity => one,
            Activation::Relu => {
                if x > R::zero() {
                    one
                } else {
                    R::zero()
                }
            }
            Activation::LeakyRelu(slope) => {
                if x > R::zero() {
                    one
                } else {
                    R::lit(slope.into())
                }
            }
            Activation::Gelu => {
                let density = (-half * x * x).exp() * R::lit(0.398_942_280_401_432_7);
                half * (one + (x * R::FRAC_1_SQRT_2()).erf()) + x * density
            }
            Activation::GeluTanh => {
                let t = gelu_inner(x).tanh();
                let inner = R::lit(GELU_SCALE) * (one + R::lit(3.0 * GELU_CUBIC) * x * x);
                half * (one + t) + half * x * (one - t * t) * inner
            }
            Activation::Sigmoid => sigmoid(x) * (one - sigmoid(x)),
            Activation::Tanh => one - x.tanh() * x.tanh(),
            Activation::Silu => sigmoid(x) * (one + x * (one - sigmoid(x))),
            Activation::Softplus => sigmoid(x),
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
