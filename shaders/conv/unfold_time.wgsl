// y[t, b, k, c] = x[t - back(k), b, c], 0 before the first step: what the taps of a convolution see
//
// x: [T, B, C]; y: [T, B, K, C] output. One invocation an element of y.                          (shared/taps.wgsl)

import package::shared::index::item_index;
import package::shared::taps::{ConvParams, back};

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: ConvParams;

@compute @workgroup_size(WG)
fn unfold_time(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
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
