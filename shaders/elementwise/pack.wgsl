// s[t, n] = 1 if x[t, n] > 1/2 else 0, packed along t
//
// x: [steps, row]; s: [ceil(steps / 32), row] output; bits beyond the last step are zero.
// One invocation a word; neighbours in a row read neighbouring elements.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    row: u32,
    words: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> s: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn pack(at: At) {
    let i = item_index(at, WG);
    if i >= p.words {
        return;
    }
    let first = i / p.row * 32u;
    let column = i % p.row;
    let used = min(p.steps - first, 32u);
    var word = 0u;
    for (var k = 0u; k < used; k++) {
        word |= select(0u, 1u << k, x[(first + k) * p.row + column] > 0.5);
    }
    s[i] = word;
}
