// y[t, b, m, e] = slope[t, b, e] x[b, m] + level[t, b, e]
//
// x: [B, M]; lines: [T, B, 2, E], slopes before levels; y: [T, B, M, E] output.
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    batch: u32,
    nodes: u32,
    channels: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> lines: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn node_lines(at: At) {
    let i = item_index(at, WG);
    let node = i / p.channels;
    let row = node / p.nodes;
    if row >= p.steps * p.batch {
        return;
    }
    let m = node - row * p.nodes;
    let line = 2u * row * p.channels + (i - node * p.channels);
    y[i] = lines[line] * x[row % p.batch * p.nodes + m] + lines[line + p.channels];
}
