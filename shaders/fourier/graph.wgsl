// The layers of a Fourier graph operator, channel by channel.

import package::shared::finite::{greatest_two, keep_nan_two};

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
    return greatest_two(cmul(v, l.w) + l.b, vec2<f32>());
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

// What of an upstream gradient reaches a layer whose outcome is o: through the shrinkage, with what
// comes from the next layer, through the relu.
fn reached(o: vec2<f32>, up: vec2<f32>, next: vec2<f32>, threshold: f32) -> vec2<f32> {
    let direct = select(vec2<f32>(), up, o > vec2<f32>(threshold));
    return keep_nan_two(o, select(vec2<f32>(), direct + next, o > vec2<f32>()));
}
