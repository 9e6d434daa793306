// y = x / ||x||,  norms = ||x|| / enter                          for each of several vectors
//
// x, y: [count, length]; stats: [count] vectors of four of `matrix_scale`, of which the first is
// `enter`; norms: [count]. A zero vector stays zero; where `enter` is 0, of a matrix that is not finite, the
// norm is NaN.
// One invocation a vector, or one workgroup with the condition WORKGROUP. Two walks over it.

import package::shared::finite::nan_of;
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    count: u32,
    length: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn unit_vectors(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let place = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let place = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(at);
    @if(!WORKGROUP) let row = group_index(at) * RANGE + local;
    if row >= p.count {
        return;
    }
    let base = row * p.length;
    var sum = 0.0;
    for (var i = local % LANES; i < p.length; i += LANES) {
        sum += x[base + i] * x[base + i];
    }
    let norm = sqrt(row_sum(sum, place));
    var factor = 0.0;
    if norm > 0.0 {
        factor = 1.0 / norm;
    }
    for (var i = local % LANES; i < p.length; i += LANES) {
        y[base + i] = factor * x[base + i];
    }
    if local % LANES == 0u {
        let enter = stats[row].x;
        var scaled = nan_of(norm);
        if enter != 0.0 {
            scaled = norm / enter;
        }
        norms[row] = scaled;
    }
}
