// g_length[n] = sum_k g[k, n] v[k, n] / norm[n], gv = length / norm (g - g_length v / norm)
// and both 0 where the norm is 0: there is no direction to turn
//
// v, g: [K, N]; length, norm: [N]; gv: [K, N], g_length: [N], outputs. One invocation a column.

import package::shared::index::item_index;

struct Params {
    rows: u32,
    columns: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> length_of: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gv: array<f32>;
@group(0) @binding(5) var<storage, read_write> g_length: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn weight_norm_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let n = item_index(group, groups, local, WG);
    if n >= p.columns {
        return;
    }
    // Two chains of sums, as in `weight_norm`.
    var sums: vec2<f32>;
    for (var k = 0u; k < p.rows; k++) {
        let term = g[k * p.columns + n] * v[k * p.columns + n];
        sums += select(vec2<f32>(term, 0.0), vec2<f32>(0.0, term), k % 2u == 1u);
    }
    let inverse = select(1.0 / norm[n], 0.0, norm[n] == 0.0);
    let along = (sums.x + sums.y) * inverse;
    g_length[n] = along;
    let factor = length_of[n] * inverse;
    for (var k = 0u; k < p.rows; k++) {
        let at = k * p.columns + n;
        gv[at] = factor * (g[at] - along * inverse * v[at]);
    }
}
