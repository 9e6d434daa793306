// y[t, b, k, c] = x[t - back(k), b, c], 0 before the first step: what the taps of a convolution see
//
// x: [T, B, C]; y: [T, B, K, C] output. One invocation an element of y.                          (conv/taps.wgsl)

import package::shared::index::{At, item_index};
import package::conv::taps::{ConvParams, back};

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: ConvParams;

@compute @workgroup_size(WG)
fn unfold_time(at: At) {
    let i = item_index(at, WG);
    let place = i / p.channels;
    let row = place / p.taps;
    if row >= p.steps * p.batch {
        return;
    }
    let distance = back(place - row * p.taps, p.taps, p.dilation) * p.batch;
    var value = 0.0;
    if distance <= row {
        value = x[(row - distance) * p.channels + (i - place * p.channels)];
    }
    y[i] = value;
}
