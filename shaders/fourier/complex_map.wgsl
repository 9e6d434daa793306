// y[i] = |z[i]|, or the phase of z[i] in (-pi, pi] if PHASE; both are 0 at 0
//
// z: [count] pairs; y: [count] output.
// One invocation a number.

import package::shared::index::{At, item_index};
import package::shared::complex::{modulus_of, phase_of};

struct Params {
    count: u32,
}

override WG: u32 = 256u;
override PHASE: bool = false;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn complex_map(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    if PHASE {
        y[i] = phase_of(z[i]);
    } else {
        y[i] = modulus_of(z[i]);
    }
}
