// gz[i] = g[i] z[i] / |z[i]|, or g[i] i z[i] / |z[i]|^2 if PHASE; 0 at 0
//
// z: [count] pairs; g: [count]; gz: [count] pairs, output.
// One invocation a number.

import package::shared::index::{At, item_index};
import package::shared::complex::{modulus_of, turned};

struct Params {
    count: u32,
}

override WG: u32 = 256u;
override PHASE: bool = false;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> gz: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn complex_map_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    let size = modulus_of(z[i]);
    var gradient = g[i] * (z[i] / size);
    if PHASE {
        gradient = -g[i] * (turned(z[i] / size) / size);
    }
    gz[i] = select(gradient, vec2<f32>(), size == 0.0);
}
