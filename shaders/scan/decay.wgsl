// What a linear recurrence remembers of a step, and how its work is cut: parameters and binding 1 of
// its kernels.

import package::shared::math::{exp_below, exp_of, ln_of, ln_1p};
import package::scan::walk::Share;

struct DecayParams {
    share: Share,
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
    keep: f32,
    drop: f32,
    leak: f32,
}

fn rate_of(form: u32, value: f32) -> Rate {
    if form != LOGIT {
        return Rate(value, 0.0, 1.0 - value);
    }
    let e = exp_below(-abs(value));
    let large = 1.0 / (1.0 + e);
    if value < 0.0 {
        return Rate(e * large, 0.0, large);
    }
    return Rate(1.0, e * large, e * large);
}

// The number that stands for the decay of column c.
fn value_at(form: u32, c: u32) -> f32 {
    if form == FIXED {
        return p.decay;
    }
    return rate[c % p.share.channels / p.share.group];
}

// The rate of column c.
fn rate_at(form: u32, c: u32) -> Rate {
    return rate_of(form, value_at(form, c));
}

// What is taken from `keep x`; nothing, of an infinity too, where nothing is.
fn dropped(one: Rate, x: f32) -> f32 {
    return select(one.drop * x, 0.0, one.drop == 0.0);
}

// The state after a step, with a gain of 1 or (tied) 1 - lam.
fn advance(one: Rate, tied: bool, before: f32, input: f32) -> f32 {
    let share = select(1.0, one.leak, tied) * input;
    return one.keep * before + (share - dropped(one, before));
}

// lam x
fn decayed(one: Rate, x: f32) -> f32 {
    return one.keep * x - dropped(one, x);
}

// lam^steps, for the number that stands for lam.
fn decay_over(form: u32, value: f32, steps: u32) -> f32 {
    if steps == 0u {
        return 1.0;
    }
    var log = ln_of(value);
    if form == LOGIT {
        log = min(value, 0.0) - ln_1p(exp_below(-abs(value)));
    }
    return exp_of(log * f32(steps));
}
