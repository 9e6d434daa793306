// gz[o, f, i] = m[f] G[o, f, i], and the sums over o of Re(conj(G) z), for the gradient of m
//
// z, upstream, gz: [outer, bins, inner] pairs, gz output; m: [bins]; sums: [chunks, bins, inner] output.
// One invocation a bin, inner index, and chunk of o.

import package::shared::index::{At, item_index};

struct Params {
    outer: u32,
    bins: u32,
    inner: u32,
    // Of o.
    chunk: u32,
    chunks: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> upstream: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> gz: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn bin_gate_backward(at: At) {
    let i = item_index(at, WG);
    let plane = p.bins * p.inner;
    if i >= p.chunks * plane {
        return;
    }
    let chunk = i / plane;
    let c = i - chunk * plane;
    let open = m[c / p.inner];
    var sum = 0.0;
    for (var o = chunk * p.chunk; o < min(p.outer, (chunk + 1u) * p.chunk); o++) {
        let first = o * plane + c;
        let g = upstream[first];
        sum += dot(g, z[first]);
        gz[first] = open * g;
    }
    sums[i] = sum;
}
