// sums over m of g[t, b, m, e] x[b, m] and of g[t, b, m, e]: gradients of slopes and levels
//
// x: [B, M]; g: [T, B, M, E]; sums: [chunks, T, B, 2, E] output.
// One invocation a line and chunk of nodes.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    batch: u32,
    nodes: u32,
    channels: u32,
    // Of nodes.
    chunk: u32,
    chunks: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn node_lines_backward(at: At) {
    let i = item_index(at, WG);
    let rows = p.steps * p.batch;
    let place = i / p.channels;
    let chunk = place / rows;
    if chunk >= p.chunks {
        return;
    }
    let e = i - place * p.channels;
    let row = place - chunk * rows;
    var slope = 0.0;
    var level = 0.0;
    for (var m = chunk * p.chunk; m < min(p.nodes, (chunk + 1u) * p.chunk); m++) {
        let up = g[(row * p.nodes + m) * p.channels + e];
        slope += up * x[row % p.batch * p.nodes + m];
        level += up;
    }
    let first = 2u * place * p.channels + e;
    sums[first] = slope;
    sums[first + p.channels] = level;
}
