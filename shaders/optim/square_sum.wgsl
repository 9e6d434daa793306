// partials[offset + k] = sum of g[i]^2 over k chunk <= i < min((k + 1) chunk, count)
//
// g: [count]; partials: one float a workgroup of every gradient, written from `offset` on.
// One workgroup a chunk: strided sums in registers, then a tree in workgroup memory. With WG = 1 no
// barrier is left: that is for software adapters.

import package::shared::index::group_index;

struct Params {
    count: u32,
    chunk: u32,
    groups: u32,
    offset: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(WG)
fn square_sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let k = group_index(group, groups);
    let end = min((k + 1u) * p.chunk, p.count);
    var sum = 0.0;
    for (var i = k * p.chunk + local; i < end; i += WG) {
        sum += g[i] * g[i];
    }
    sums[local] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    if local == 0u && k < p.groups {
        partials[p.offset + k] = sums[0];
    }
}
