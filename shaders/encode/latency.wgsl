// s[t, n] = [t = the number of edges that x[n] does not exceed]: one spike, the sooner the stronger
//
// x: [row]; edges: [max(last, 1)], falling, made on the host; s: [ceil(steps / 32), row] output.
// One invocation a column: a binary search, then its words.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    row: u32,
    words: u32,
    last: u32,
    silent: u32,
    threshold: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> edges: array<f32>;
@group(0) @binding(2) var<storage, read_write> s: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// The first of the falling edges below v; `last` if there is none.
fn step_of(v: f32) -> u32 {
    var low = 0u;
    var high = p.last;
    while low < high {
        let middle = (low + high) / 2u;
        if v > edges[middle] {
            high = middle;
        } else {
            low = middle + 1u;
        }
    }
    return low;
}

@compute @workgroup_size(WG)
fn latency(at: At) {
    let i = item_index(at, WG);
    if i >= p.row {
        return;
    }
    let v = x[i];
    let step = step_of(v);
    let fires = p.silent == 0u || v > p.threshold;
    let words = (p.steps + 31u) / 32u;
    for (var w = 0u; w < words; w++) {
        s[w * p.row + i] = select(0u, 1u << (step % 32u), fires && step / 32u == w);
    }
}
