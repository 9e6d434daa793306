// y[t, b, c] = sum_k g[t + back(k), b, k, c]: the adjoint of unfold_time
//
// g: [T, B, K, C]; y: [T, B, C] output. One invocation an element of y.                          (conv/taps.wgsl)

import package::shared::index::{At, item_index};
import package::conv::taps::{ConvParams, back, first_tap};

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: ConvParams;

@compute @workgroup_size(WG)
fn fold_time(at: At) {
    let i = item_index(at, WG);
    let row = i / p.channels;
    if row >= p.steps * p.batch {
        return;
    }
    var sum = 0.0;
    let reach = p.steps - 1u - row / p.batch;
    for (var k = first_tap(p.taps, p.dilation, reach); k < p.taps; k++) {
        let distance = back(k, p.taps, p.dilation) * p.batch;
        sum += g[((row + distance) * p.taps + k) * p.channels + (i - row * p.channels)];
    }
    y[i] = sum;
}
