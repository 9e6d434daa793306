// gx[r, c] = g f'(x) (exp(z[r, c] - m[r] - log s[r]) - (1 - a) [c = t] - a / C) / divisor
//   with scores z = f(x), target t of row r, label smoothing a; 0 in rows whose target is >= C.
//
// x, gx: [rows, classes]; targets: [rows]; stats: [rows, 2] of m and log s; g: [1].
// One invocation SPAN neighbouring elements, whose indices are counted on instead of divided out.

import package::shared::index::{At, item_index};
import package::shared::math::exp_below;
import package::loss::scores::{score_of, slope_of};

struct Params {
    count: u32,
    classes: u32,
    smoothing: f32,
    divisor: f32,
    sharpness: f32,
}

override KIND: u32 = 0u;

override WG: u32 = 64u;
override SPAN: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn cross_entropy_backward(at: At) {
    let first = item_index(at, WG) * SPAN;
    let scale = g[0] / p.divisor;
    let even = p.smoothing / f32(p.classes);
    var r = first / p.classes;
    var c = first % p.classes;
    for (var i = first; i < min(first + SPAN, p.count); i++) {
        let t = targets[r];
        let z = score_of(KIND, p.sharpness, x[i]);
        let slope = scale * slope_of(KIND, p.sharpness, x[i]);
        let probability = exp_below(z - stats[2u * r] - stats[2u * r + 1u]);
        let hit = select(0.0, 1.0 - p.smoothing, c == t);
        gx[i] = select(0.0, slope * (probability - hit - even), t < p.classes);
        c++;
        if c == p.classes {
            c = 0u;
            r++;
        }
    }
}
