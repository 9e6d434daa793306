// gx[i] = g[i] activation'(x[i]); what is saved is the input
//
// saved, g: [items]; gx: [items] output. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;
import package::elementwise::activation::activate_derivative;

struct Params {
    items: u32,
    slope: f32,
}

override WG: u32 = 256u;
override KIND: u32 = 0u;

@group(0) @binding(0) var<storage, read> saved: array<Item>;
@group(0) @binding(1) var<storage, read> g: array<Item>;
@group(0) @binding(2) var<storage, read_write> gx: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

fn slope(saved: f32) -> f32 {
    return activate_derivative(KIND, p.slope, saved);
}

@compute @workgroup_size(WG)
fn activate_backward(at: At) {
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
