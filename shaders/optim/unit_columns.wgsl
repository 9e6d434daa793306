// q[., j] <- r[., j] / |r[., j]|; a column of zeros leaves that of q as it is.
//
// r: [rows, columns]; q: [rows, columns] in place.
// One invocation a column.

import package::shared::finite::greatest;
import package::shared::index::item_index;

struct Params {
    rows: u32,
    columns: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> r: array<f32>;
@group(0) @binding(1) var<storage, read_write> q: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn unit_columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let j = item_index(group, groups, local, WG);
    if j >= p.columns {
        return;
    }
    var largest = 0.0;
    for (var i = 0u; i < p.rows; i++) {
        largest = greatest(largest, abs(r[i * p.columns + j]));
    }
    if largest == 0.0 {
        return;
    }
    // Relative to the largest, so that no square is lost.
    let scale = 1.0 / max(largest, 1e-37);
    var sum = 0.0;
    for (var i = 0u; i < p.rows; i++) {
        let v = r[i * p.columns + j] * scale;
        sum += v * v;
    }
    let factor = scale / sqrt(sum);
    for (var i = 0u; i < p.rows; i++) {
        q[i * p.columns + j] = r[i * p.columns + j] * factor;
    }
}
