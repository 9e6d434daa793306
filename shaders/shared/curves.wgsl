// Curves that functions of one number are made of.

import package::shared::finite::{is_infinite, keep_nan, nan_of};
import package::shared::math::{erfc_of, exp_below, exp_of, ln_of};

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

// The derivative of x sigmoid(2 gelu_inner(x)). Further out it does not change, and must not meet an x^2
// that overflows.
fn gelu_tanh_slope(x: f32) -> f32 {
    let near = clamp(x, -32.0, 32.0);
    let u = 2.0 * gelu_inner(near);
    let inner = 1.5957691216 * (1.0 + 3.0 * 0.044715 * near * near);
    return sigmoid(u) + x * sigmoid_slope(u) * inner;
}

// x^e. Below 0 it is that of |x|, with a sign if e is odd, and NaN if e is not whole. x^0 is 1, of
// any x.
fn power(x: f32, e: f32) -> f32 {
    if e == 0.0 {
        return 1.0;
    }
    if e == 1.0 {
        return x;
    }
    let size = exp_of(e * ln_of(abs(x)));
    let whole = floor(e) == e;
    // From 2^24 on every number is even.
    let odd = whole && abs(e) < 16777216.0 && (u32(min(abs(e), 16777216.0)) & 1u) == 1u;
    let negative = (bitcast<u32>(x) >> 31u) == 1u;
    let between = x < 0.0 && !is_infinite(x) && !whole;
    return select(select(size, -size, negative && odd), nan_of(x), between);
}

// e x^(e - 1): nothing for the constant x^0, never 0 times an infinity.
fn power_slope(x: f32, e: f32) -> f32 {
    if e == 0.0 {
        return 0.0;
    }
    return e * power(x, e - 1.0);
}
