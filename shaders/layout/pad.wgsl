// y[c] = x[c - before] where that is inside of x, else 0
//
// x: [inside_0, ...]; y: [outside_0, ...]; extents stand innermost first. Elements are f32, or u32
// with the condition WORDS.
// One invocation an element of y.

import package::shared::index::{At, item_index};

@if(!WORDS) alias Element = f32;
@if(WORDS) alias Element = u32;

struct Params {
    outside: array<vec4<u32>, 2>,
    inside: array<vec4<u32>, 2>,
    before: array<vec4<u32>, 2>,
    count: u32,
    rank: u32,
    unused_0: u32,
    unused_1: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn pad(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    var rest = i;
    var place = 0u;
    var stride = 1u;
    var inside = true;
    for (var a = 0u; a < p.rank; a++) {
        let outer = p.outside[a / 4u][a % 4u];
        let extent = p.inside[a / 4u][a % 4u];
        let before = p.before[a / 4u][a % 4u];
        let c = rest % outer;
        inside = inside && c >= before && c < before + extent;
        place += (c - before) * stride;
        stride *= extent;
        rest /= outer;
    }
    var value = Element(0);
    if inside {
        value = x[place];
    }
    y[i] = value;
}
