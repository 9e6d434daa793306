// y[o, j] = the first k at which x[o, k, j] is largest (smallest if MIN); a NaN is
//
// x: [outer, length, inner]; y: [outer, inner] of indices.
// One invocation an output, or, with the condition WORKGROUP, one workgroup: every invocation takes
// every 256th element, then a tree in which the larger value wins, and the smaller index among equals.

import package::shared::finite::rank_of;
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE};

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
}

override MIN: u32 = 0u;

@if(WORKGROUP) var<workgroup> values: array<u32, 256>;
@if(WORKGROUP) var<workgroup> places: array<u32, 256>;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn value_of(i: u32) -> u32 {
    return rank_of(select(x[i], -x[i], MIN == 1u));
}

@compute @workgroup_size(RANGE)
fn extremum(at: Group, @builtin(local_invocation_index) local: u32) {
    @if(WORKGROUP) let row = group_index(at);
    @if(WORKGROUP) let lane = local;
    @if(!WORKGROUP) let row = group_index(at) * RANGE + local;
    @if(!WORKGROUP) let lane = 0u;
    if row >= p.outer * p.inner {
        return;
    }
    let base = row / p.inner * p.length * p.inner + row % p.inner;
    var place = min(lane, p.length - 1u);
    var value = value_of(base + place * p.inner);
    for (var k = lane + LANES; k < p.length; k += LANES) {
        let next = value_of(base + k * p.inner);
        if next > value {
            value = next;
            place = k;
        }
    }
    @if(WORKGROUP) {
        values[local] = value;
        places[local] = place;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if local < half {
                let other = values[local + half];
                let there = places[local + half];
                let mine = values[local];
                if other > mine || (other == mine && there < places[local]) {
                    values[local] = other;
                    places[local] = there;
                }
            }
        }
        place = places[0];
    }
    if lane == 0u {
        y[row] = place;
    }
}
