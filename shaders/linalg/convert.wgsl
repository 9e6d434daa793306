// y = x, between f32 and pairs of f16 (FROM_HALF: from f16, else to f16)
//
// x: [count] f32 or pairs; y: [count] pairs or f32.
// One invocation a pair.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
}

override WG: u32 = 64u;

@if(FROM_HALF) @group(0) @binding(0) var<storage, read> x: array<u32>;
@if(FROM_HALF) @group(0) @binding(1) var<storage, read_write> y: array<f32>;
@if(!FROM_HALF) @group(0) @binding(0) var<storage, read> x: array<f32>;
@if(!FROM_HALF) @group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(FROM_HALF) fn convert_pair(i: u32) {
    let pair = unpack2x16float(x[i]);
    y[2u * i] = pair.x;
    if 2u * i + 1u < p.count { y[2u * i + 1u] = pair.y; }
}
@if(!FROM_HALF) fn convert_pair(i: u32) {
    let last = min(2u * i + 1u, p.count - 1u);
    let second = select(0.0, x[last], last > 2u * i);
    y[i] = pack2x16float(vec2<f32>(x[2u * i], second));
}

@compute @workgroup_size(WG)
fn convert(at: At) {
    let i = item_index(at, WG);
    if 2u * i < p.count {
        convert_pair(i);
    }
}
