// y[i] = al a[i] + (1 - al) b[i]        al = sigmoid(raw)
//
// a, b, y: [items]; raw: [1]. An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::curves::sigmoid;
import package::shared::item::Item;
import package::shared::index::{At, item_index};

struct Params {
    items: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> a: array<Item>;
@group(0) @binding(1) var<storage, read> b: array<Item>;
@group(0) @binding(2) var<storage, read> raw: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn blend(at: At) {
    let i = item_index(at, WG);
    if i < p.items {
        y[i] = sigmoid(raw[0]) * a[i] + sigmoid(-raw[0]) * b[i];
    }
}
