// y[i] = activation(x[i])
//
// x: [items]; y: [items] output. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;
import package::elementwise::activation::activate as activation_of;

struct Params {
    items: u32,
    slope: f32,
}

override WG: u32 = 256u;
override KIND: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<Item>;
@group(0) @binding(1) var<storage, read_write> y: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

fn apply(x: f32) -> f32 {
    return activation_of(KIND, p.slope, x);
}

@compute @workgroup_size(WG)
fn activate(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    let v = x[i];
    @if(!VEC) {
        y[i] = apply(v);
    }
    @if(VEC) {
        y[i] = vec4(apply(v.x), apply(v.y), apply(v.z), apply(v.w));
    }
}
