// y[i] = a[i] op b[i]
//
// a, b: [items]; y: [items] output. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;
import package::elementwise::binary::combine;

struct Params {
    items: u32,
}

override WG: u32 = 256u;
override OP: u32 = 0u;

@group(0) @binding(0) var<storage, read> a: array<Item>;
@group(0) @binding(1) var<storage, read> b: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn binary(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    let left = a[i];
    let right = b[i];
    @if(!VEC) {
        y[i] = combine(OP, left, right);
    }
    @if(VEC) {
        y[i] = vec4(
            combine(OP, left.x, right.x), combine(OP, left.y, right.y),
            combine(OP, left.z, right.z), combine(OP, left.w, right.w),
        );
    }
}
