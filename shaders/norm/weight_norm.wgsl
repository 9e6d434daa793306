// w[k, n] = v[k, n] length[n] / norm[n], norm[n] = sqrt(sum_k v[k, n]^2)
//
// v, w: [K, N], w output; length: [N]; norm: [N] output. One invocation a column.

import package::shared::finite::root_of;
import package::shared::index::item_index;

struct Params {
    rows: u32,
    columns: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> length_of: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn weight_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let n = item_index(group, groups, local, WG);
    if n >= p.columns {
        return;
    }
    // Two chains of sums: half the rounding of one. A component chosen by number is no place to add to:
    // FXC would unroll the loop, and cannot.
    var sums: vec2<f32>;
    for (var k = 0u; k < p.rows; k++) {
        let value = v[k * p.columns + n];
        let square = value * value;
        sums += select(vec2<f32>(square, 0.0), vec2<f32>(0.0, square), k % 2u == 1u);
    }
    let size = root_of(sums.x + sums.y);
    norm[n] = size;
    // A column of zeros stays one.
    let factor = length_of[n] / select(size, 1.0, size == 0.0);
    for (var k = 0u; k < p.rows; k++) {
        w[k * p.columns + n] = factor * v[k * p.columns + n];
    }
}
