// y[o, k, j] = exp(x[o, k, j] - m) / s, m = max_k x[o, k, j], s = sum_k exp(x[o, k, j] - m)
// or, if LOG, x[o, k, j] - m - log(s)
//
// x, y: [outer, length, inner]; a row is (o, j).
// One invocation a row, or one workgroup with the condition WORKGROUP. Three walks over the row.

import package::shared::finite::greatest;
import package::shared::index::{Group, group_index};
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
    if row >= p.outer * p.inner {
        return;
    }
    let base = row / p.inner * p.length * p.inner + row % p.inner;
    let first = local % LANES;
    var largest = x[base];
    for (var k = first; k < p.length; k += LANES) {
        largest = greatest(largest, x[base + k * p.inner]);
    }
    largest = row_max(largest, place);
    // Chains of 64 keep the rounding of long rows small.
    var sum = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            part += exp_below(x[base + k * p.inner] - largest);
        }
        sum += part;
    }
    sum = row_sum(sum, place);
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
