// The memory of a WKV channel, and what a step does to it.
//
// Two sums over the past, e^o p of weighted values and e^o q of the weights, share an exponent o,
// the largest that any of their terms has. Of the two weights of a step the larger is then 1 and the
// other the exponential of a number that is not positive: one exponential gives both.

import package::shared::finite::{keep_nan, least};
import package::shared::math::exp_of;

// Steps between two memories that are saved for backward. It divides a chunk.
const EVERY: u32 = 8u;

// o = top + age decay: the key of a step `age` steps ago. Adding the decay up step by step would
// round in the same direction thousands of times.
struct Memory {
    p: f32,
    q: f32,
    top: f32,
    age: f32,
}

// Of the past, and of the step.
struct Weights {
    past: f32,
    now: f32,
}

// Its exponent is below that of any key.
const NOTHING: Memory = Memory(0.0, 0.0, -3.4028234e38, 0.0);

// w' = -e^w. Where that overflows nothing is left after one step; but of the step before all is, and
// 0 times an infinity would be NaN.
fn decay_of(w: f32) -> f32 {
    return -least(exp_of(w), 3.4028234e38);
}

fn exponent(m: Memory, decay: f32) -> f32 {
    return exponent_after(m, 0.0, decay);
}

// Likewise, some steps later. What does not decay, because it is new or there is none, takes nothing from
// the decay, be that a NaN.
fn exponent_after(m: Memory, steps: f32, decay: f32) -> f32 {
    let age = m.age + steps;
    return m.top + select(age * decay, 0.0, age == 0.0 || m.q == 0.0);
}

// e^0 for the larger of two exponents that differ by `ahead`, and for the smaller what remains.
fn weights(ahead: f32) -> Weights {
    let e = keep_nan(ahead, exp(-abs(ahead)));
    return Weights(select(e, 1.0, ahead >= 0.0), select(1.0, e, ahead >= 0.0));
}

// Those of the output: the step counts for e^(bonus + k).
fn weights_out(m: Memory, decay: f32, bonus: f32, k: f32) -> Weights {
    return weights(exponent(m, decay) - (bonus + k));
}

// Those of the next memory: the past has decayed by one step more.
fn weights_in(m: Memory, decay: f32, k: f32) -> Weights {
    return weights(exponent_after(m, 1.0, decay) - k);
}

// The memory after a step.
fn remember(m: Memory, w: Weights, k: f32, v: f32) -> Memory {
    let kept = w.past == 1.0;
    return Memory(
        w.past * m.p + w.now * v,
        w.past * m.q + w.now,
        select(k, m.top, kept),
        select(0.0, m.age + 1.0, kept),
    );
}
