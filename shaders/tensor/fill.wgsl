// y[i] = value
//
// y: [count] output.
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    value: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn fill(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        y[i] = p.value;
    }
}
