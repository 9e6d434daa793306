// y[o, k, j] = exp(x[o, k, j] - m) / s, m = max_k x[o, k, j], s = sum_k exp(x[o, k, j] - m)
// or, if LOG, x[o, k, j] - m - log(s)
//
// x, y: [outer, length, inner]; a row is (o, j).
// One invocation a row, or one workgroup with the condition WORKGROUP. Three walks over the row.

import package::shared::finite::greatest;
import package::shared::index::{group_index, item_index};
import package::shared::math::{exp_below, ln_of};
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
}

override LOG: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn softmax(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let at = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let at = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(group, groups);
    @if(!WORKGROUP) let row = item_index(group, groups, local, RANGE);
    if row >= p.outer * p.inner {
        return;
    }
    let base = row / p.inner * p.length * p.inner + row % p.inner;
    let first = local % LANES;
    var largest = x[base];
    for (var k = first; k < p.length; k += LANES) {
        largest = greatest(largest, x[base + k * p.inner]);
    }
    largest = row_max(largest, at);
    // Chains of 64 keep the rounding of long rows small.
    var sum = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            part += exp_below(x[base + k * p.inner] - largest);
        }
        sum += part;
    }
    sum = row_sum(sum, at);
    let log_sum = ln_of(sum);
    for (var k = first; k < p.length; k += LANES) {
        let i = base + k * p.inner;
        if LOG == 1u {
            y[i] = x[i] - largest - log_sum;
        } else {
            y[i] = exp_below(x[i] - largest) / sum;
        }
    }
}
