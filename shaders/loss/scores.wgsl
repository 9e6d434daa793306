// What a cross-entropy is taken of: logits over a temperature, or the logarithm of StableMax's
// s(x) = 1 + x for x >= 0, 1 / (1 - x) below, which is sign(x) ln(1 + |x|).

import package::shared::finite::keep_nan;
import package::shared::math::{ln_1p, ln_of};

const STABLE_MAX: u32 = 1u;

fn score_of(kind: u32, sharpness: f32, x: f32) -> f32 {
    let z = x * sharpness;
    if kind == STABLE_MAX {
        let a = abs(z);
        let score = select(ln_of(1.0 + a), ln_1p(min(a, 1.0)), a <= 1.0);
        return keep_nan(z, select(score, -score, z < 0.0));
    }
    return z;
}

// The derivative.
fn slope_of(kind: u32, sharpness: f32, x: f32) -> f32 {
    if kind == STABLE_MAX {
        return sharpness / (1.0 + abs(x * sharpness));
    }
    return sharpness;
}
