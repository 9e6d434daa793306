// y[o, k, j] = x[o, j] / divisor
//
// x: [outer, inner]; y: [outer, length, inner]. The adjoint of a sum over k (a mean, with its count
// as the divisor).
// One invocation SPAN neighbouring elements of y, whose indices are counted on instead of divided
// out.

import package::shared::index::{At, item_index};

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
    divisor: f32,
}

override WG: u32 = 64u;
override SPAN: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn spread(at: At) {
    let first = item_index(at, WG) * SPAN;
    let run = p.length * p.inner;
    var j = first % p.inner;
    var k = first % run / p.inner;
    var row = first / run * p.inner;
    for (var i = first; i < min(first + SPAN, p.outer * run); i++) {
        y[i] = x[row + j] / p.divisor;
        j++;
        if j == p.inner {
            j = 0u;
            k++;
            if k == p.length {
                k = 0u;
                row += p.inner;
            }
        }
    }
}
