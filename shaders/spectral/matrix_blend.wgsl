// y = p a + q b + r c
//
// a, b, c, y: [items] vectors of four; what a launch does not use (its factor is 0) may be bound to
// anything.
// One invocation a vector.

import package::shared::index::{At, item_index};

struct Params {
    items: u32,
    p: f32,
    q: f32,
    r: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn matrix_blend(at: At) {
    let i = item_index(at, WG);
    if i < p.items {
        var v = p.p * a[i] + p.q * b[i];
        if p.r != 0.0 {
            v += p.r * c[i];
        }
        y[i] = v;
    }
}
