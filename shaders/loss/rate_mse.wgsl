// rate[n] = (sum_t s[t, n]) / steps
// part[i] = sum of (rate[n] - wanted)^2 / columns over n = i * span .. (i + 1) * span
//   both what f32 holds of them, be sums on the way beyond its range
//
// s: [steps, columns], or [ceil(steps / 32), columns] packed spikes with the condition BITS;
// rate: [columns]; part: [parts].
// One invocation a part, or one workgroup with the condition WORKGROUP; each column by one invocation.

import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};
import package::shared::second_look::{Finish, finished, second_look};

@if(!BITS) alias Element = f32;
@if(BITS) alias Element = u32;

struct Params {
    steps: u32,
    columns: u32,
    span: u32,
    parts: u32,
    wanted: f32,
}

@group(0) @binding(0) var<storage, read> s: array<Element>;
@group(0) @binding(1) var<storage, read_write> rate: array<f32>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(BITS)
fn rate_of(n: u32) -> f32 {
    var count = 0u;
    for (var w = 0u; w < (p.steps + 31u) / 32u; w++) {
        count += countOneBits(s[w * p.columns + n]);
    }
    return f32(count) / f32(p.steps);
}

// The sum over a train times `by`. Chains of 64 keep the rounding of long ones small.
@if(!BITS)
fn spikes_of(n: u32, by: f32) -> f32 {
    var count = 0.0;
    for (var block = 0u; block < p.steps; block += 64u) {
        var some = 0.0;
        for (var t = block; t < min(block + 64u, p.steps); t++) {
            some += s[t * p.columns + n] * by;
        }
        count += some;
    }
    return count;
}

@if(!BITS)
fn rate_of(n: u32) -> f32 {
    let finish = Finish(f32(p.steps), false, false);
    let count = spikes_of(n, 1.0);
    let by = second_look(count, finish);
    if by != 1.0 {
        return finished(spikes_of(n, by), by, finish);
    }
    return finished(count, 1.0, finish);
}

// The square of how far a rate is from the wanted one, times `by`.
fn square_of(rate: f32, by: f32) -> f32 {
    let v = rate * by - p.wanted * by;
    return v * v;
}

@compute @workgroup_size(RANGE)
fn rate_mse(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let first = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let first = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let i = group_index(at);
    @if(!WORKGROUP) let i = group_index(at) * RANGE + local;
    if i >= p.parts {
        return;
    }
    var total = 0.0;
    let start = i * p.span + local % LANES;
    let end = min((i + 1u) * p.span, p.columns);
    for (var n = start; n < end; n += LANES) {
        let r = rate_of(n);
        rate[n] = r;
        total += square_of(r, 1.0);
    }
    let finish = Finish(f32(p.columns), false, true);
    total = row_sum(total, first);
    let by = second_look(total, finish);
    var again = 0.0;
    if by != 1.0 {
        for (var n = start; n < end; n += LANES) {
            again += square_of(rate[n], by);
        }
    }
    again = row_sum(again, first);
    if local % LANES == 0u {
        part[i] = finished(select(total, again, by != 1.0), by, finish);
    }
}
