// The Hard Concrete distribution.

import package::shared::math::{exp_below, ln_of};

struct ConcreteParams {
    count: u32,
    // Temperature, and the ends of the stretched interval.
    beta: f32,
    gamma: f32,
    zeta: f32,
}

// s = sigmoid((ln u - ln(1 - u) + a) / beta), or sigmoid(a) without noise.
fn open_share(noise: bool, a: f32, u: f32, beta: f32) -> f32 {
    var x = a;
    if noise {
        x = (ln_of(u) - ln_of(1.0 - u) + a) / beta;
    }
    let e = exp_below(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}
