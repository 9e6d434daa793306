// y[o, start + j] = x[o, j]
//
// x: [outer, run]; y: [outer, stride], the other elements are left as they are: one input of a
// concatenation. Elements are f32, or u32 with the condition WORDS.
// One invocation an element of x.

import package::shared::index::{At, item_index};

@if(!WORDS) alias Element = f32;
@if(WORDS) alias Element = u32;

struct Params {
    outer: u32,
    run: u32,
    stride: u32,
    start: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn place(at: At) {
    let i = item_index(at, WG);
    if i < p.outer * p.run {
        y[i / p.run * p.stride + p.start + i % p.run] = x[i];
    }
}
