// gs[t, n] = 2 g (rate[n] - wanted) / (steps columns)
//
// rate: [columns]; g: [1]; gs: [steps, columns].
// One invocation an element.

import package::shared::index::item_index;

struct Params {
    steps: u32,
    columns: u32,
    wanted: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> rate: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> gs: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn rate_mse_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    if i < p.steps * p.columns {
        let off = rate[i % p.columns] - p.wanted;
        gs[i] = 2.0 * g[0] * off / f32(p.columns) / f32(p.steps);
    }
}
