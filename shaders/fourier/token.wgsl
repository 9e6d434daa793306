// The current of SpikF-GO's embedding as a line in the value x of a node:
// tok = norm (a e x + b) / sqrt(mean over the nodes of (a e x + b)^2 + eps), current = (gamma tok + beta) ramp.
// The mean square is that of a line: (a e mean(x) + b)^2 + (a e)^2 var(x).

import package::shared::complex::hypot_of;
import package::shared::finite::root_of;
import package::shared::magnitude::to_one;

struct TokenParams {
    steps: u32,
    batch: u32,
    channels: u32,
    eps: f32,
    // What the ramp rises by from step to step.
    rise: f32,
}

// Of one channel and one entry of the batch.
struct Token {
    // 1 / sqrt(mean square + eps)
    scale: f32,
    // a e, b and a e mean + b, times it
    slope: f32,
    level: f32,
    centre: f32,
}

// Without squares, which leave f32 where the outcome does not.
fn token(slope: f32, level: f32, mean: f32, variance: f32, eps: f32) -> Token {
    let centre = slope * mean + level;
    let root = hypot_of(hypot_of(centre, slope * root_of(variance)), sqrt(eps));
    // The reciprocal of a large root is subnormal.
    let one = to_one(root);
    let q = 1.0 / (root * one);
    return Token(one * q, slope * one * q, level * one * q, centre * one * q);
}
