// z = x + ss(o_1) + ss(o_2) + ss(o_3), o_k = relu(o_{k-1} w_k + b_k), o_0 = x, complex, channel by channel
//
// x: [rows, E] pairs, or [rows] pairs times e if OUTER; e: [E] reals (anything otherwise);
// w: [3, 4, E]: of each layer, weight re, weight im, bias re, bias im; z: [rows, E] pairs, output.
// ss: soft shrinkage by `threshold`. One invocation a row and channel; the layers stay in registers.

import package::shared::index::{At, item_index};
import package::fourier::graph::{Layer, layers, shrink};

struct Params {
    rows: u32,
    channels: u32,
    threshold: f32,
}

override WG: u32 = 256u;
override OUTER: bool = false;

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

fn layer_of(k: u32, c: u32) -> Layer {
    let at = 4u * k * p.channels + c;
    return Layer(
        vec2<f32>(w[at], w[at + p.channels]),
        vec2<f32>(w[at + 2u * p.channels], w[at + 3u * p.channels]),
    );
}

@compute @workgroup_size(WG)
fn mix_diag(at: At) {
    let i = item_index(at, WG);
    if i >= p.rows * p.channels {
        return;
    }
    let row = i / p.channels;
    let c = i - row * p.channels;
    var v: vec2<f32>;
    if OUTER {
        v = x[row] * e[c];
    } else {
        v = x[i];
    }
    let o = layers(v, layer_of(0u, c), layer_of(1u, c), layer_of(2u, c));
    z[i] = v + shrink(o.a, p.threshold) + shrink(o.b, p.threshold) + shrink(o.c, p.threshold);
}
