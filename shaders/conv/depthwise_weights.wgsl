// sums over a chunk of rows (t, b) of g[t, b, c] x[t - back(k), b, c], and of g[t, b, c]: gradients of taps and bias
//
// x, g: [T, B, C]; sums: [chunks, K + 1, C] output, the taps, then the bias.
// One invocation a chunk, tap and channel.                                                     (conv/taps.wgsl)

import package::shared::index::{At, item_index};
import package::conv::taps::{ConvParams, back};

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: ConvParams;

@compute @workgroup_size(WG)
fn depthwise_weights(at: At) {
    let i = item_index(at, WG);
    let place = i / p.channels;
    let chunk = place / (p.taps + 1u);
    if chunk >= p.chunks {
        return;
    }
    let c = i - place * p.channels;
    let k = place - chunk * (p.taps + 1u);
    let last = min((chunk + 1u) * p.chunk, p.steps * p.batch);
    var distance = 0u;
    if k < p.taps {
        distance = back(k, p.taps, p.dilation) * p.batch;
    }
    var sum = 0.0;
    for (var row = max(chunk * p.chunk, distance); row < last; row++) {
        var factor = 1.0;
        if k < p.taps {
            factor = x[(row - distance) * p.channels + c];
        }
        sum += g[row * p.channels + c] * factor;
    }
    sums[i] = sum;
}
