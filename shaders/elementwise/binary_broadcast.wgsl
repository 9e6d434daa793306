// y[i] = a[offset of i in a] op b[offset of i in b], for operands that are broadcast.
//
// a, b: any; y: [count] output. Extents and strides (0 along a broadcast axis) are parameters,
// with neighbouring axes of one kind already merged.
// One invocation an element; one division an axis beyond the first.

import package::shared::index::{At, item_index};
import package::elementwise::binary::combine;
import package::elementwise::strides::{Strides, offsets};

struct Params {
    count: u32,
    rank: u32,
    padding_0: u32,
    padding_1: u32,
    strides: Strides,
}

override WG: u32 = 256u;
override OP: u32 = 0u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn binary_broadcast(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        let place = offsets(p.strides, p.rank, i);
        y[i] = combine(OP, a[place.x], b[place.y]);
    }
}
