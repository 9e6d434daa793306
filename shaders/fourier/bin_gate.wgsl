// y[o, f, i] = m[f] z[o, f, i], complex numbers times real gates
//
// z, y: [outer, bins, inner] pairs; m: [bins].
// One invocation a number.

import package::shared::index::{At, item_index};

struct Params {
    outer: u32,
    bins: u32,
    inner: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn bin_gate(at: At) {
    let i = item_index(at, WG);
    if i < p.outer * p.bins * p.inner {
        y[i] = m[i / p.inner % p.bins] * z[i];
    }
}
