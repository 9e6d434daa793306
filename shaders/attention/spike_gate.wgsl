// gate[s, b, h] = [at least p.least channels of group h spike at position s]
//
// spikes: [S, B, C], f32 (a spike is a value above 0) or bits along S (condition BITS); its channels
// fall into `groups` equal groups. gate: [S, B, groups] output, 0 or 1.
// One invocation an element of the gate, which stops counting when it has seen enough.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    batch: u32,
    channels: u32,
    groups: u32,
    least: u32,
}

override WG: u32 = 64u;

@if(!BITS) @group(0) @binding(0) var<storage, read> spikes: array<f32>;
@if(BITS) @group(0) @binding(0) var<storage, read> spikes: array<u32>;
@group(0) @binding(1) var<storage, read_write> gate: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(!BITS) fn spike(s: u32, c: u32) -> u32 {
    return u32(spikes[s * p.batch * p.channels + c] > 0.0);
}
@if(BITS) fn spike(s: u32, c: u32) -> u32 {
    return (spikes[s / 32u * p.batch * p.channels + c] >> (s % 32u)) & 1u;
}

@compute @workgroup_size(WG)
fn spike_gate(at: At) {
    let i = item_index(at, WG);
    let s = i % p.steps;
    let row = i / p.steps;
    if row >= p.batch * p.groups {
        return;
    }
    let width = p.channels / p.groups;
    var count = 0u;
    for (var c = 0u; c < width && count < p.least; c++) {
        count += spike(s, row * width + c);
    }
    gate[s * p.batch * p.groups + row] = u32(count >= p.least);
}
