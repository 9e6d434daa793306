// x[i] = x[i] g
//
// x: [items] read and written in place; g: [1]. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;

struct Params {
    items: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read_write> x: array<Item>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn scale_by(at: At) {
    let i = item_index(at, WG);
    if i < p.items {
        x[i] *= g[0];
    }
}
