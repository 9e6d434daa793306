// variance (NORM = 0): gx[o, k, j] = (x[o, k, j] - m[o, j]) g[o, j] / divisor
// norm (NORM = 1):     gx[o, k, j] = x[o, k, j] g[o, j] / m[o, j], 0 where m = 0
//
// x, gx: [outer, length, inner]; m (the mean, or the norm), g: [outer, inner].
// One invocation SPAN neighbouring elements of x, whose indices are counted on instead of divided
// out.

import package::shared::deviation::difference_times;
import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};
import package::shared::magnitude::to_one;

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
    divisor: f32,
}

override WG: u32 = 64u;
override SPAN: u32 = 1u;
override NORM: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn slope(x: f32, m: f32, g: f32) -> f32 {
    if NORM == 0u {
        return difference_times(x, m, g / p.divisor);
    }
    // A quotient of numbers near the ends of f32 is not what WGSL promises much of.
    let s = to_one(m);
    return keep_nan(m, select(0.0, x * s / (m * s) * g, m > 0.0));
}

@compute @workgroup_size(WG)
fn moment_backward(at: At) {
    let first = item_index(at, WG) * SPAN;
    let run = p.length * p.inner;
    var j = first % p.inner;
    var k = first % run / p.inner;
    var row = first / run * p.inner;
    for (var i = first; i < min(first + SPAN, p.outer * run); i++) {
        gx[i] = slope(x[i], m[row + j], g[row + j]);
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
