// z = x + ss(a) + ss(b) + ss(c), ss(v) = sign(v) max(|v| - threshold, 0)
//
// x, a, b, c: [count]; z: [count] output.
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    threshold: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn shrink(v: f32) -> f32 {
    return v - clamp(v, -p.threshold, p.threshold);
}

@compute @workgroup_size(WG)
fn mix_shrink(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    z[i] = x[i] + shrink(a[i]) + shrink(b[i]) + shrink(c[i]);
}
