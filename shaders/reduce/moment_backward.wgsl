// gx[o, k, j] = (x[o, k, j] - center[o, j]) / size[o, j] g[o, j] / divisor, 0 where size = 0
//   without the center unless CENTERED, without the size unless ROOTED: of a variance the former, of a norm
//   the latter, of a standard deviation both
//
// x, gx: [outer, length, inner]; center, size, g: [outer, inner].
// One invocation SPAN neighbouring elements of x, whose indices are counted on instead of divided
// out.

import package::shared::deviation::{deviation, difference_times, row_of};
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
override CENTERED: u32 = 0u;
override ROOTED: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read> size: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Of an element x whose moments are number `at`.
fn slope(x: f32, at: u32) -> f32 {
    let upstream = g[at] / p.divisor;
    var middle = 0.0;
    if CENTERED != 0u {
        middle = center[at];
    }
    if ROOTED == 0u {
        return difference_times(x, middle, upstream);
    }
    // A quotient of numbers near the ends of f32 is not what WGSL promises much of.
    let whole = size[at];
    let one = to_one(whole);
    let unit = deviation(x, row_of(middle, one)) / (whole * one);
    return keep_nan(whole, select(0.0, unit * upstream, whole > 0.0));
}

@compute @workgroup_size(WG)
fn moment_backward(at: At) {
    let first = item_index(at, WG) * SPAN;
    let run = p.length * p.inner;
    var j = first % p.inner;
    var k = first % run / p.inner;
    var row = first / run * p.inner;
    for (var i = first; i < min(first + SPAN, p.outer * run); i++) {
        gx[i] = slope(x[i], row + j);
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
