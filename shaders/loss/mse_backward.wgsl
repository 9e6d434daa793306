// gx[i] = 2 g (x[i] - y[i]) / count
//
// x, y, gx: [count]; g: [1].
// One invocation an element.

import package::shared::deviation::difference_times;
import package::shared::index::{At, item_index};

struct Params {
    count: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn mse_backward(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        gx[i] = difference_times(x[i], y[i], g[0] / (0.5 * f32(p.count)));
    }
}
