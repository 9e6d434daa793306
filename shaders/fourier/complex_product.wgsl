// y[i] = a[i] b[i], or a[i] conj(b[i]) if CONJUGATE, complex
//
// a, b: [count] pairs; y: [count] pairs, output.
// One invocation a number.

import package::shared::complex::{cmul, cmul_conj};
import package::shared::index::{At, item_index};

struct Params {
    count: u32,
}

override WG: u32 = 256u;
override CONJUGATE: bool = false;

@group(0) @binding(0) var<storage, read> a: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn complex_product(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    if CONJUGATE {
        y[i] = cmul_conj(a[i], b[i]);
    } else {
        y[i] = cmul(a[i], b[i]);
    }
}
