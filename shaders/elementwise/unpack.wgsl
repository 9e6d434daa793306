// x[t, n] = s[t, n], from bits packed along t
//
// s: [ceil(steps / 32), row]; x: [steps, row] output.
// One invocation a word; neighbours in a row write neighbouring elements.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    row: u32,
    words: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> s: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn unpack(at: At) {
    let i = item_index(at, WG);
    if i >= p.words {
        return;
    }
    let first = i / p.row * 32u;
    let column = i % p.row;
    let used = min(p.steps - first, 32u);
    let word = s[i];
    for (var k = 0u; k < used; k++) {
        x[(first + k) * p.row + column] = f32((word >> k) & 1u);
    }
}
