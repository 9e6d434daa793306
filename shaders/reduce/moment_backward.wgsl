// variance (NORM = 0): gx[o, k, j] = (x[o, k, j] - m[o, j]) g[o, j] / divisor
// norm (NORM = 1):     gx[o, k, j] = x[o, k, j] g[o, j] / m[o, j], 0 where m = 0
//
// x, gx: [outer, length, inner]; m (the mean, or the norm), g: [outer, inner].
// One invocation an element of x.

import package::shared::index::item_index;

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
    divisor: f32,
}

override WG: u32 = 64u;
override NORM: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn moment_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    let run = p.length * p.inner;
    if i >= p.outer * run {
        return;
    }
    let out = i / run * p.inner + i % p.inner;
    if NORM == 0u {
        gx[i] = (x[i] - m[out]) * g[out] / p.divisor;
    } else if m[out] > 0.0 {
        gx[i] = x[i] / m[out] * g[out];
    } else {
        gx[i] = 0.0;
    }
}
