// rank[g, s] = open positions before s,   index[g, ..] = the open positions in order, then the silent
//
// gate: [S, groups], u32 or f32 (condition REAL), open where it is not 0. order: for each group, from
// group `base` on, rank [S + 1] and index [S], output.
// A workgroup a group: each invocation counts a stretch of positions, adds what lies before it, and
// lists them.

import package::shared::index::{Group, group_index};

struct Params {
    steps: u32,
    groups: u32,
    base: u32,
}

override WG: u32 = 64u;

@if(!REAL) @group(0) @binding(0) var<storage, read> gate: array<u32>;
@if(REAL) @group(0) @binding(0) var<storage, read> gate: array<f32>;
@group(0) @binding(1) var<storage, read_write> order: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> counts: array<u32, WG>;

@if(!REAL) fn is_open(s: u32, g: u32) -> bool {
    return gate[s * p.groups + g] != 0u;
}
// NaN is not 0, which `!=` does not say on every driver.
@if(REAL) fn is_open(s: u32, g: u32) -> bool {
    return !(gate[s * p.groups + g] == 0.0);
}

@compute @workgroup_size(WG)
fn gate_order(at: Group, @builtin(local_invocation_index) local: u32) {
    let g = group_index(at);
    if g >= p.groups {
        return;
    }
    let stretch = (p.steps + WG - 1u) / WG;
    let first = min(local * stretch, p.steps);
    let last = min(first + stretch, p.steps);
    var count = 0u;
    for (var s = first; s < last; s++) {
        count += u32(is_open(s, g));
    }
    counts[local] = count;
    workgroupBarrier();
    var open = 0u;
    var total = 0u;
    for (var i = 0u; i < WG; i++) {
        open += select(0u, counts[i], i < local);
        total += counts[i];
    }
    let rank = (p.base + g) * (2u * p.steps + 1u);
    let index = rank + p.steps + 1u;
    for (var s = first; s < last; s++) {
        order[rank + s] = open;
        if is_open(s, g) {
            order[index + open] = s;
            open++;
        } else {
            order[index + total + s - open] = s;
        }
    }
    if local == 0u {
        order[rank + p.steps] = total;
    }
}
