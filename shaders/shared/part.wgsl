// A part of a gradient that is a product.

// Nothing without a gradient, whatever the state, and at rest, whatever the gradient.
fn part(gradient: f32, state: f32) -> f32 {
    return select(gradient * state, 0.0, gradient == 0.0 || state == 0.0);
}

// Nothing without a gradient, whatever the slope.
fn through(gradient: f32, slope: f32) -> f32 {
    return select(gradient * slope, 0.0, gradient == 0.0);
}
