// q[., j] <- r[., j] / |r[., j]|; a column of zeros leaves that of q as it is
// f[., j] = r[., j] / (|r[., j]| + eps), 0 for a column of zeros
//
// r, f: [rows, columns]; q: [rows, columns] in place.
// One invocation a column, or one workgroup with the condition WORKGROUP.

import package::shared::finite::greatest;
import package::shared::index::{Group, group_index};
import package::shared::magnitude::to_one;
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};

struct Params {
    rows: u32,
    columns: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> r: array<f32>;
@group(0) @binding(1) var<storage, read_write> q: array<f32>;
@group(0) @binding(2) var<storage, read_write> f: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn unit_columns(at: Group, @builtin(local_invocation_index) local: u32) {
    let start = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let j = group_index(at);
    @if(!WORKGROUP) let j = group_index(at) * RANGE + local;
    let first = local % LANES;
    if j >= p.columns {
        return;
    }
    var largest = 0.0;
    for (var i = first; i < p.rows; i += LANES) {
        largest = greatest(largest, abs(r[i * p.columns + j]));
    }
    largest = row_max(largest, start);
    // Relative to the largest, so that no square is lost.
    let scale = to_one(largest);
    var sum = 0.0;
    for (var i = first; i < p.rows; i += LANES) {
        let v = r[i * p.columns + j] * scale;
        sum += v * v;
    }
    let norm = sqrt(row_sum(sum, start));
    if norm == 0.0 {
        for (var i = first; i < p.rows; i += LANES) {
            f[i * p.columns + j] = 0.0;
        }
        return;
    }
    let whole = 1.0 / norm;
    let less = 1.0 / (norm + p.eps * scale);
    for (var i = first; i < p.rows; i += LANES) {
        let v = r[i * p.columns + j] * scale;
        q[i * p.columns + j] = v * whole;
        f[i * p.columns + j] = v * less;
    }
}
