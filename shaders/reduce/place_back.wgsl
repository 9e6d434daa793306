// y[o, k, j] = x[o, j] if k = index[o, j], else 0
//
// x, index: [outer, inner]; y: [outer, length, inner]. The gradient of an extremum.
// One invocation an element of y.

import package::shared::index::item_index;

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn place_back(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    let run = p.length * p.inner;
    if i < p.outer * run {
        let out = i / run * p.inner + i % p.inner;
        y[i] = select(0.0, x[out], i / p.inner % p.length == index[out]);
    }
}
