// gx[i] = g[i] d(a op b)/da, or /db: the gradient of one side, before it is summed over the axes
// along which that side was broadcast.
//
// a, b: any, found by strides as in binary_broadcast; g: [count]; gx: [count] output.
// One invocation an element; one division an axis beyond the first.

import package::shared::index::{At, item_index};
import package::elementwise::binary::combine_derivative;
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
override SIDE: u32 = 0u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn binary_backward(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        let place = offsets(p.strides, p.rank, i);
        gx[i] = g[i] * combine_derivative(OP, SIDE, a[place.x], b[place.y]);
    }
}
