// gx[o, k, j] = y[o, k, j] (g[o, k, j] - sum_i g[o, i, j] y[o, i, j])
// or, if LOG (y is the logarithm), g[o, k, j] - exp(y[o, k, j]) sum_i g[o, i, j]
//
// y, g, gx: [outer, length, inner]; a row is (o, j).
// One invocation a row, or one workgroup with the condition WORKGROUP. Two walks over the row.

import package::shared::index::{Group, group_index};
import package::shared::math::exp_below;
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
}

override LOG: u32 = 0u;

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn softmax_backward(
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
    // Chains of 64 keep the rounding of long rows small.
    var sum = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let i = base + k * p.inner;
            part += select(g[i] * y[i], g[i], LOG == 1u);
        }
        sum += part;
    }
    sum = row_sum(sum, place);
    for (var k = first; k < p.length; k += LANES) {
        let i = base + k * p.inner;
        if LOG == 1u {
            gx[i] = g[i] - exp_below(y[i]) * sum;
        } else {
            gx[i] = y[i] * (g[i] - sum);
        }
    }
}
