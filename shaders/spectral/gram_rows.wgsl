// rows[r] = (sum_j |s[r, j]|, sum_j s[r, j]^2)
//
// s: [count, length]; rows: [count] pairs.
// One invocation a row, or one workgroup with the condition WORKGROUP.

import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    count: u32,
    length: u32,
}

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read_write> rows: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn gram_rows(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let first = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let first = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(at);
    @if(!WORKGROUP) let row = group_index(at) * RANGE + local;
    if row >= p.count {
        return;
    }
    var sum = 0.0;
    var squares = 0.0;
    for (var j = local % LANES; j < p.length; j += LANES) {
        let v = s[row * p.length + j];
        sum += abs(v);
        squares += v * v;
    }
    sum = row_sum(sum, first);
    squares = row_sum(squares, first);
    if local % LANES == 0u {
        rows[row] = vec2<f32>(sum, squares);
    }
}
