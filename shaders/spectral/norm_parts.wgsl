// parts[first + e, k] = (max |x|, sum of (x scale)^2, 1 if an x is not finite)  over chunk k of matrix e
//
// x: [entries, count]; parts: [.., chunks] vectors of four, the last element unused; scale is the
// power of two that brings the maximum to [1, 2), so that no square leaves the range.
// One invocation a chunk, or one workgroup with the condition WORKGROUP. Two walks over the chunk.

import package::shared::index::{Group, group_index};
import package::shared::finite::is_not_finite;
import package::shared::magnitude::to_one;
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};

struct Params {
    count: u32,
    chunk: u32,
    chunks: u32,
    entries: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> parts: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn norm_parts(
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
    if row >= p.entries * p.chunks {
        return;
    }
    let chunk = row % p.chunks;
    let base = row / p.chunks * p.count;
    let begin = base + chunk * p.chunk + local % LANES;
    let end = base + min((chunk + 1u) * p.chunk, p.count);
    var largest = 0.0;
    var fault = 0.0;
    for (var i = begin; i < end; i += LANES) {
        if is_not_finite(x[i]) {
            fault = 1.0;
        } else {
            largest = max(largest, abs(x[i]));
        }
    }
    largest = row_max(largest, place);
    fault = row_max(fault, place);
    let scale = to_one(largest);
    // Chains of 64 keep the rounding of long chunks small.
    var sum = 0.0;
    for (var block = begin; block < end; block += 64u * LANES) {
        var part = 0.0;
        for (var i = block; i < min(block + 64u * LANES, end); i += LANES) {
            part += (x[i] * scale) * (x[i] * scale);
        }
        sum += part;
    }
    sum = row_sum(sum, place);
    if local % LANES == 0u {
        parts[p.first * p.chunks + row] = vec4<f32>(largest, sum, fault, 0.0);
    }
}
