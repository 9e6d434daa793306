// What a linear recurrence remembers of a step, and how its work is cut: parameters and binding 1 of
// its kernels.

import package::shared::math::{exp_of, ln_of, ln_1p};

// Steps are cut into `chunks` of `chunk`; channel n = c % channels of column c belongs to head
// n / group.
struct DecayParams {
    columns: u32,
    steps: u32,
    channels: u32,
    group: u32,
    chunk: u32,
    chunks: u32,
    decay: f32,
}

// What a channel remembers, by head; not read if FIXED.
@group(0) @binding(1) var<storage, read> rate: array<f32>;
@group(1) @binding(0) var<uniform> p: DecayParams;

// FORM: lam is a constant, a tensor, or the logistic function of a tensor.
const FIXED: u32 = 0u;
const VALUE: u32 = 1u;
const LOGIT: u32 = 2u;

// lam = keep - drop and leak = 1 - lam. A lam near 1 is not a number to multiply by: rounding it
// once would change 1 - lam by a part in a thousand.
struct Rate {
    lam: f32,
    leak: f32,
    keep: f32,
    drop: f32,
    // ln lam
    log: f32,
}

fn rate_of(form: u32, value: f32) -> Rate {
    if form != LOGIT {
        return Rate(value, 1.0 - value, value, 0.0, ln_of(max(value, 1e-37)));
    }
    let e = exp_of(-abs(value));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    let log = min(value, 0.0) - ln_1p(e);
    if value < 0.0 {
        return Rate(small, large, small, 0.0, log);
    }
    return Rate(large, small, 1.0, small, log);
}

// The rate of column c.
fn rate_at(form: u32, c: u32) -> Rate {
    if form == FIXED {
        return rate_of(form, p.decay);
    }
    return rate_of(form, rate[c % p.channels / p.group]);
}

// lam x
fn decayed(rate: Rate, x: f32) -> f32 {
    return rate.keep * x - rate.drop * x;
}

// lam^steps
fn decay_over(rate: Rate, steps: u32) -> f32 {
    return exp_of(rate.log * f32(steps));
}
