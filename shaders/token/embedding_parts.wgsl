// The rows of g whose token's places in the sorted order reach over the edge of a piece, summed piece
// by piece: parts[s, 0] for the token that was begun before piece s, parts[s, 1] for the token that
// begins in it and goes on after it. What does not occur is not written.
//
// g: [tokens, row] items; tokens: [count]; order, starts: see token_starts; parts: [pieces, 2, row]
// items. Piece s is places s * PIECE .. (s + 1) * PIECE. An item is one element, or four (VEC).
// One invocation an item of a piece.

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
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> parts: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

// The sum over some places of the order.
fn sum_of(first: u32, end: u32, c: u32) -> Item {
    var sum = Item();
    for (var place = first; place < end; place++) {
        sum += g[order[place] * p.row + c];
    }
    return sum;
}

@compute @workgroup_size(WG)
fn embedding_parts(at: At) {
    let i = item_index(at, WG);
    let s = i / p.row;
    let c = i % p.row;
    let first = s * p.piece;
    let end = min(first + p.piece, starts[p.vocabulary]);
    if s >= p.pieces || first >= end {
        return;
    }
    let before = tokens[order[first]];
    if starts[before] < first {
        parts[2u * s * p.row + c] = sum_of(first, min(end, starts[before + 1u]), c);
    }
    let after = tokens[order[end - 1u]];
    if starts[after] >= first && starts[after + 1u] > end {
        parts[(2u * s + 1u) * p.row + c] = sum_of(starts[after], end, c);
    }
}
