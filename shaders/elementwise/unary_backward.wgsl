// gx[i] = g[i] f'(x[i]), from the saved input or output
//
// saved, g: [items]; gx: [items] output. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;
import package::elementwise::unary::derivative;

struct Params {
    items: u32,
    first: f32,
    second: f32,
}

override WG: u32 = 256u;
override OP: u32 = 0u;

@group(0) @binding(0) var<storage, read> saved: array<Item>;
@group(0) @binding(1) var<storage, read> g: array<Item>;
@group(0) @binding(2) var<storage, read_write> gx: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

fn slope(saved: f32) -> f32 {
    return derivative(OP, p.first, p.second, saved);
}

@compute @workgroup_size(WG)
fn unary_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    let v = saved[i];
    @if(!VEC) {
        gx[i] = g[i] * slope(v);
    }
    @if(VEC) {
        gx[i] = g[i] * vec4(slope(v.x), slope(v.y), slope(v.z), slope(v.w));
    }
}
