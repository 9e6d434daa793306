// gx[r, i] = g[r, i] s'(x[r, i] - threshold[r])        s' the surrogate Atan(a)
//
// x, g, gx: [rows, length]; threshold: [rows].
// One invocation an element.

import package::shared::index::{At, item_index};
import package::shared::surrogate::{ATAN, surrogate};

struct Params {
    count: u32,
    length: u32,
    a: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> threshold: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn top_k_backward(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        gx[i] = g[i] * surrogate(ATAN, p.a, x[i] - threshold[i / p.length]);
    }
}
