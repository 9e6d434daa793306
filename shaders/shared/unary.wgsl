// Functions of one number with up to two constants, and their derivatives. The numbers are
// `Unary::code` in Rust.

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
        case SQRT: { return sqrt(x); }
        case SQUARE: { return x * x; }
        case ABS: { return abs(x); }
        case RECIP: { return 1.0 / x; }
        case SIGN: { return select(select(0.0, -1.0, x < 0.0), 1.0, x > 0.0); }
        case CLAMP: { return min(max(x, first), second); }
        case POWER: { return power(x, first); }
        case ATAN: { return atan_of(x); }
        default: { return x; }
    }
}

// x^e for x > 0; 0 for x = 0.
fn power(x: f32, e: f32) -> f32 {
    return select(0.0, exp_of(e * ln_of(x)), x > 0.0);
}

// The derivative, from what was saved: the output for exp, sqrt and recip, else the input.
fn derivative(kind: u32, first: f32, second: f32, saved: f32) -> f32 {
    switch kind {
        case AFFINE: { return first; }
        case EXP: { return saved; }
        case LN: { return 1.0 / saved; }
        case SQRT: { return select(0.0, 0.5 / saved, saved > 0.0); }
        case SQUARE: { return 2.0 * saved; }
        case ABS: { return select(select(0.0, -1.0, saved < 0.0), 1.0, saved > 0.0); }
        case RECIP: { return -saved * saved; }
        case CLAMP: { return select(0.0, 1.0, saved >= first && saved <= second); }
        case POWER: { return first * power(saved, first - 1.0); }
        case ATAN: { return 1.0 / (1.0 + saved * saved); }
        default: { return 0.0; }
    }
}
