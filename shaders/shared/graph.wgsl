// The layers of a Fourier graph operator, channel by channel.

import package::shared::complex::cmul;

// One layer's parameters of a channel.
struct Layer {
    w: vec2<f32>,
    b: vec2<f32>,
}

// What the three layers give of one number.
struct Layers {
    a: vec2<f32>,
    b: vec2<f32>,
    c: vec2<f32>,
}

// relu(v w + b), on both parts.
fn layer(v: vec2<f32>, l: Layer) -> vec2<f32> {
    return max(cmul(v, l.w) + l.b, vec2<f32>());
}

fn layers(v: vec2<f32>, l1: Layer, l2: Layer, l3: Layer) -> Layers {
    let a = layer(v, l1);
    let b = layer(a, l2);
    return Layers(a, b, layer(b, l3));
}

// sign(v) max(|v| - threshold, 0), on both parts.
fn shrink(v: vec2<f32>, threshold: f32) -> vec2<f32> {
    return v - clamp(v, vec2<f32>(-threshold), vec2<f32>(threshold));
}

// Its derivative.
fn passes(v: vec2<f32>, threshold: f32) -> vec2<f32> {
    return select(vec2<f32>(), vec2<f32>(1.0), abs(v) > vec2<f32>(threshold));
}
