// Activations and their derivatives, by number. The numbers are `Activation::code` in Rust.

import package::shared::finite::keep_nan;
import package::shared::math::{erfc_of, exp_below, exp_of, ln_1p};

const IDENTITY: u32 = 0u;
const RELU: u32 = 1u;
const LEAKY_RELU: u32 = 2u;
const GELU: u32 = 3u;
const GELU_TANH: u32 = 4u;
const SIGMOID: u32 = 5u;
const TANH: u32 = 6u;
const SILU: u32 = 7u;
const SOFTPLUS: u32 = 8u;
const SQUARED_RELU: u32 = 9u;

// 1 / (1 + exp(-x)), from the exponential of a non-positive number only.
fn sigmoid(x: f32) -> f32 {
    let e = exp_below(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// sigmoid'(x) = s (1 - s), without the cancellation of 1 - s.
fn sigmoid_slope(x: f32) -> f32 {
    let e = exp_below(-abs(x));
    return e / ((1.0 + e) * (1.0 + e));
}

// tanh by way of the exponential of a non-positive number: no overflow, and, near zero, its series
// (the built-in may lose all digits there).
fn tanh_safe(x: f32) -> f32 {
    let a = abs(x);
    let e = exp_below(-2.0 * a);
    let x2 = x * x;
    let near = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 - x2 * (17.0 / 315.0))));
    return select(sign(x) * (1.0 - e) / (1.0 + e), near, a < 0.15);
}

// The error function, absolute error 2e-7; its series near zero, where 1 - erfc loses digits.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    let x2 = x * x;
    let near = 1.1283792 * x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (0.1 + x2 * (-1.0 / 42.0 + x2 * (1.0 / 216.0 - x2 / 1320.0)))));
    let far = sign(x) * (1.0 - erfc_of(a));
    return select(far, near, a < 0.5);
}

// The normal distribution function, with relative accuracy in its lower tail.
fn normal_cdf(x: f32) -> f32 {
    let tail = 0.5 * erfc_of(abs(x) * 0.70710678);
    return select(tail, 1.0 - tail, x >= 0.0);
}

// sqrt(2/pi) (x + 0.044715 x^3), the argument of the hyperbolic tangent in gelu_tanh.
fn gelu_inner(x: f32) -> f32 {
    return 0.7978845608 * (x + 0.044715 * x * x * x);
}

// max(x, 0)
fn relu(x: f32) -> f32 {
    return keep_nan(x, max(x, 0.0));
}

fn activate(kind: u32, slope: f32, x: f32) -> f32 {
    switch kind {
        case RELU: { return relu(x); }
        case LEAKY_RELU: { return select(slope * x, x, x > 0.0); }
        case GELU: { return x * normal_cdf(x); }
        case GELU_TANH: { return x * sigmoid(2.0 * gelu_inner(x)); }
        case SIGMOID: { return sigmoid(x); }
        case TANH: { return tanh_safe(x); }
        case SILU: { return x * sigmoid(x); }
        case SOFTPLUS: { return relu(x) + ln_1p(exp_below(-abs(x))); }
        case SQUARED_RELU: { return relu(x) * relu(x); }
        default: { return x; }
    }
}

// The derivative at the input x; NaN of NaN.
fn activate_derivative(kind: u32, slope: f32, x: f32) -> f32 {
    switch kind {
        case RELU: { return keep_nan(x, select(0.0, 1.0, x > 0.0)); }
        case LEAKY_RELU: { return keep_nan(x, select(slope, 1.0, x > 0.0)); }
        case GELU: { return normal_cdf(x) + x * 0.3989422804 * exp_below(-0.5 * x * x); }
        case GELU_TANH: {
            // Further out the slope is 0, and must not meet an x^2 that overflows.
            let near = clamp(x, -32.0, 32.0);
            let u = 2.0 * gelu_inner(near);
            let inner = 1.5957691216 * (1.0 + 3.0 * 0.044715 * near * near);
            return sigmoid(u) + x * sigmoid_slope(u) * inner;
        }
        case SIGMOID: { return sigmoid_slope(x); }
        case TANH: { return 4.0 * sigmoid_slope(2.0 * x); }
        case SILU: { return sigmoid(x) + x * sigmoid_slope(x); }
        case SOFTPLUS: { return sigmoid(x); }
        case SQUARED_RELU: { return 2.0 * relu(x); }
        default: { return 1.0; }
    }
}
