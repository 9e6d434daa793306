// y[i] = x[i], or 2^32 - 1, which is an index of nothing, where x[i] = hidden
//
// x, y: [count].
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    hidden: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn hide_index(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        y[i] = select(x[i], 0xffffffffu, x[i] == p.hidden);
    }
}
