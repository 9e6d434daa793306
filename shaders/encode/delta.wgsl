// on[t, n] = [x[t, n] - x[t-1, n] >= threshold], off[t, n] = [x[t, n] - x[t-1, n] <= -threshold]
//
// x: [steps, row]; on, off: [ceil(steps / 32), row] outputs. Before the first step x is 0, or, if
// `settled`, what it is at the first step.
// One invocation a word.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    row: u32,
    words: u32,
    settled: u32,
    threshold: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> on: array<u32>;
@group(0) @binding(2) var<storage, read_write> off: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn delta(at: At) {
    let i = item_index(at, WG);
    if i >= p.words {
        return;
    }
    let first = i / p.row * 32u;
    let column = i % p.row;
    let used = min(p.steps - first, 32u);
    var before = 0.0;
    if first > 0u || p.settled == 1u {
        before = x[(max(first, 1u) - 1u) * p.row + column];
    }
    var rises = 0u;
    var falls = 0u;
    for (var k = 0u; k < used; k++) {
        let now = x[(first + k) * p.row + column];
        let change = now - before;
        rises |= select(0u, 1u << k, change >= p.threshold);
        falls |= select(0u, 1u << k, change <= -p.threshold);
        before = now;
    }
    on[i] = rises;
    off[i] = falls;
}
