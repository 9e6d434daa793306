// The current of SpikF-GO's embedding as a line in the value x of a node:
// tok = norm (a e x + b) / sqrt(mean over the nodes of (a e x + b)^2 + eps), current = (gamma tok + beta) ramp.
// The mean square is that of a line: (a e mean(x) + b)^2 + (a e)^2 var(x).

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
    // a e, and a e mean + b
    slope: f32,
    centre: f32,
    // 1 / sqrt(mean square + eps)
    scale: f32,
}

fn token(slope: f32, level: f32, mean: f32, variance: f32, eps: f32) -> Token {
    let centre = slope * mean + level;
    let square = centre * centre + variance * slope * slope;
    return Token(slope, centre, inverseSqrt(square + eps));
}
