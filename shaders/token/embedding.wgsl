// y[i, c] = table[tokens[i], c], 0 for a token outside the vocabulary
//
// table: [vocabulary, row] items; tokens: [count / row]; y: [count] items. An item is one element, or
// four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;

struct Params {
    items: u32,
    row: u32,
    vocabulary: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> table: array<Item>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn embedding(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    let token = tokens[i / p.row];
    if token < p.vocabulary {
        y[i] = table[token * p.row + i % p.row];
    } else {
        y[i] = Item();
    }
}
