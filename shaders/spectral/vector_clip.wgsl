// y = x / sqrt(1 + (||x|| / c)^2)                              for each of several vectors
//
// x, y: [entries, count]; stats: [.., 4] of `matrix_scale`: (s, s ||x||, s c, c). COMPAT: y = x
// where ||x|| <= c. A vector that is not finite becomes zeros.
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    entries: u32,
    count: u32,
    first: u32,
}

override WG: u32 = 64u;
override COMPAT: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn vector_clip(at: At) {
    let i = item_index(at, WG);
    if i >= p.entries * p.count {
        return;
    }
    let fact = stats[p.first + i / p.count];
    // s x / sqrt((s c)^2 + (s ||x||)^2) times c: no factor leaves the range.
    var enter = fact.x;
    var factor = fact.w / sqrt(fact.z * fact.z + fact.y * fact.y);
    if COMPAT && fact.y <= fact.z {
        enter = 1.0;
        factor = 1.0;
    }
    y[i] = select((enter * x[i]) * factor, 0.0, fact.x == 0.0);
}
