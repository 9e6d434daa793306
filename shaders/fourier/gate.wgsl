// The membranes of a complex gate: two leaky integrate-and-fire neurons with hard reset to 0, charged
// by the real and by the imaginary part: h = v + (x - v) / tau, s = [h >= threshold], v = h (1 - s).

// Columns are rows of channels.
struct GateParams {
    steps: u32,
    columns: u32,
    channels: u32,
    // Rows that one invocation of backward sums over, and how many such chunks there are.
    chunk: u32,
    chunks: u32,
    // 1 / tau
    gain: f32,
    threshold: f32,
    // Of the surrogate.
    alpha: f32,
}

fn charge_both(v: vec2<f32>, z: vec2<f32>, gain: f32) -> vec2<f32> {
    return v + (z - v) * gain;
}

// Selects follow, never products with 0: an infinite number behind a closed gate must not become NaN.
fn fires_both(h: vec2<f32>, threshold: f32) -> vec2<bool> {
    return h >= vec2<f32>(threshold);
}
