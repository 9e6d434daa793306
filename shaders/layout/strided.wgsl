// y[c] = x[base + sum_a c_a stride_a] for coordinates c in dims: permutations, slices, repetitions.
//
// x: any; y: [count], row-major over dims. dims and strides stand innermost first; a stride of 0
// repeats. Elements are f32, or u32 with the condition WORDS.
// One invocation SPAN neighbouring elements of y; coordinates are divided out where the innermost axis
// starts anew.

import package::shared::index::{At, item_index};

@if(!WORDS) alias Element = f32;
@if(WORDS) alias Element = u32;

struct Params {
    dims: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    count: u32,
    base: u32,
    rank: u32,
    unused: u32,
}

override WG: u32 = 64u;
override SPAN: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(1) @binding(0) var<uniform> p: Params;

// Where element i of y comes from.
fn source(i: u32) -> u32 {
    var rest = i;
    var place = p.base;
    for (var a = 0u; a < p.rank; a++) {
        let extent = p.dims[a / 4u][a % 4u];
        place += rest % extent * p.strides[a / 4u][a % 4u];
        rest /= extent;
    }
    return place;
}

@compute @workgroup_size(WG)
fn strided(at: At) {
    let first = item_index(at, WG) * SPAN;
    var c = first % p.dims[0].x;
    var place = source(first);
    for (var i = first; i < min(first + SPAN, p.count); i++) {
        if c == p.dims[0].x {
            c = 0u;
            place = source(i);
        }
        y[i] = x[place];
        c++;
        place += p.strides[0].x;
    }
}
