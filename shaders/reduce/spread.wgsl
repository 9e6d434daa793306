// y[o, k, j] = x[o, j] / divisor
//
// x: [outer, inner]; y: [outer, length, inner]. The adjoint of a sum over k (a mean, with its count
// as the divisor).
// One invocation an element of y.

import package::shared::index::item_index;

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
    divisor: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn spread(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    let run = p.length * p.inner;
    if i < p.outer * run {
        y[i] = x[i / run * p.inner + i % p.inner] / p.divisor;
    }
}
