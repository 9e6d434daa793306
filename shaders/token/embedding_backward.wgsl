// table[v, c] = sum of g[i, c] over the positions i with token v
//
// g: [tokens, row] items; order, starts: see token_starts; parts: see embedding_parts;
// table: [vocabulary, row] items, output. An item is one element, or four (condition VEC).
// One invocation an item of the table: it adds the few rows of a token within one piece, or the parts
// of a token in several, in the order of the positions.

import package::shared::index::{At, item_index};
import package::shared::item::Item;

struct Params {
    row: u32,
    pieces: u32,
    piece: u32,
    vocabulary: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> g: array<Item>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> parts: array<Item>;
@group(0) @binding(4) var<storage, read_write> table: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn embedding_backward(at: At) {
    let i = item_index(at, WG);
    let v = i / p.row;
    let c = i % p.row;
    if v >= p.vocabulary {
        return;
    }
    let start = starts[v];
    let end = starts[v + 1u];
    var sum = Item();
    if start < end {
        let first = start / p.piece;
        let last = (end - 1u) / p.piece;
        if first == last {
            for (var place = start; place < end; place++) {
                sum += g[order[place] * p.row + c];
            }
        } else {
            sum = parts[(2u * first + 1u) * p.row + c];
            for (var s = first + 1u; s <= last; s++) {
                sum += parts[2u * s * p.row + c];
            }
        }
    }
    table[i] = sum;
}
