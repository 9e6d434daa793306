// Activations and their derivatives, by number. The numbers are `Activation::code` in Rust.

const IDENTITY: u32 = 0u;
const RELU: u32 = 1u;
const LEAKY_RELU: u32 = 2u;
const GELU: u32 = 3u;
const GELU_TANH: u32 = 4u;
const SIGMOID: u32 = 5u;
const TANH: u32 = 6u;
const SILU: u32 = 7u;
const SOFTPLUS: u32 = 8u;

// 1 / (1 + exp(-x)), from the exponential of a non-positive number only.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// tanh by way of the exponential of a non-positive number: no overflow, and, near zero, its series
// (the built-in may lose all digits there).
fn tanh_safe(x: f32) -> f32 {
    let a = abs(x);
    let e = exp(-2.0 * a);
    let x2 = x * x;
    let near = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 - x2 * (17.0 / 315.0))));
    return select(sign(x) * (1.0 - e) / (1.0 + e), near, a < 0.15);
}

// ln(1 + x) for x in [0, 1].
fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    return select(log(u) * (x / (u - 1.0)), x, u == 1.0);
}

// The error function, absolute error 2e-7 (Abramowitz and Stegun 7.1.26 gives 1.5e-7; a Maclaurin
// series takes over near zero, where that one loses relative accuracy).
fn erf(x: f32) -> f32 {
    let a = abs(x);
    let x2 = x * x;
    let near = 1.1283792 * x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (0.1 + x2 * (-1.0 / 42.0 + x2 * (1.0 / 216.0 - x2 / 1320.0)))));
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = t * (0.2548296 + t * (-0.28449674 + t * (1.4214137 + t * (-1.453152 + t * 1.0614054))));
    let far = sign(x) * (1.0 - poly * exp(-x2));
    return select(far, near, a < 0.5);
}

fn activate(kind: u32, slope: f32, x: f32) -> f32 {
    switch kind {
        case RELU: { return max(x, 0.0); }
        case LEAKY_RELU: { return select(slope * x, x, x > 0.0); }
        case GELU: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case GELU_TANH: { return 0.5 * x * (1.0 + tanh_safe(0.7978845608 * (x + 0.044715 * x * x * x))); }
        case SIGMOID: { return sigmoid(x); }
        case TANH: { return tanh_safe(x); }
        case SILU: { return x * sigmoid(x); }
        case SOFTPLUS: { return max(x, 0.0) + log1p(exp(-abs(x))); }
        default: { return x; }
    }
}

// The derivative at the input x.
fn activate_derivative(kind: u32, slope: f32, x: f32) -> f32 {
    switch kind {
        case RELU: { return select(0.0, 1.0, x > 0.0); }
        case LEAKY_RELU: { return select(slope, 1.0, x > 0.0); }
        case GELU: {
            let density = 0.3989422804 * exp(-0.5 * x * x);
            return 0.5 * (1.0 + erf(x * 0.70710678)) + x * density;
        }
        case GELU_TANH: {
            let inner = 0.7978845608 * (x + 0.044715 * x * x * x);
            let t = tanh_safe(inner);
            let slope_inner = 0.7978845608 * (1.0 + 3.0 * 0.044715 * x * x);
            return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope_inner;
        }
        case SIGMOID: { let s = sigmoid(x); return s * (1.0 - s); }
        case TANH: { let t = tanh_safe(x); return 1.0 - t * t; }
        case SILU: { let s = sigmoid(x); return s * (1.0 + x * (1.0 - s)); }
        case SOFTPLUS: { return sigmoid(x); }
        default: { return 1.0; }
    }
}
