// Functions of one number with up to two constants, and their derivatives. The numbers are
// `Unary::code` in Rust.

import package::shared::finite::{is_infinite, keep_nan, limited, nan_of, root_of, sign_of};
import package::shared::math::{atan_of, exp_of, ln_of};

const AFFINE: u32 = 0u;
const EXP: u32 = 1u;
const LN: u32 = 2u;
const SQRT: u32 = 3u;
const SQUARE: u32 = 4u;
const ABS: u32 = 5u;
const RECIP: u32 = 6u;
const SIGN: u32 = 7u;
const CLAMP: u32 = 8u;
const POWER: u32 = 9u;
const ATAN: u32 = 10u;

fn evaluate(kind: u32, first: f32, second: f32, x: f32) -> f32 {
    switch kind {
        case AFFINE: { return first * x + second; }
        case EXP: { return exp_of(x); }
        case LN: { return ln_of(x); }
        case SQRT: { return root_of(x); }
        case SQUARE: { return x * x; }
        case ABS: { return abs(x); }
        case RECIP: { return 1.0 / x; }
        case SIGN: { return sign_of(x); }
        case CLAMP: { return limited(x, first, second); }
        case POWER: { return power(x, first); }
        case ATAN: { return atan_of(x); }
        default: { return x; }
    }
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

// The derivative, from what was saved: the output for exp, sqrt and recip, else the input. NaN of NaN.
fn derivative(kind: u32, first: f32, second: f32, saved: f32) -> f32 {
    switch kind {
        case AFFINE: { return first; }
        case EXP: { return saved; }
        case LN: { return 1.0 / saved; }
        case SQRT: { return keep_nan(saved, select(0.0, 0.5 / saved, saved > 0.0)); }
        case SQUARE: { return 2.0 * saved; }
        case ABS: { return sign_of(saved); }
        case RECIP: { return -saved * saved; }
        case CLAMP: { return keep_nan(saved, select(0.0, 1.0, saved >= first && saved <= second)); }
        case POWER: { return power_slope(saved, first); }
        case ATAN: { return 1.0 / (1.0 + saved * saved); }
        default: { return 0.0; }
    }
}
