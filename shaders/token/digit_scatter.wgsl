// sorted[places[b, d] + rank] = position, for the token of digit d at that position, which `rank`
// others of its block b and its digit precede
//
// tokens: [count]; order: [count], the order so far, not read if FIRST (it is that of the positions);
// places: [blocks, RADIX]; sorted: [count] output. Block b is places b * BLOCK .. (b + 1) * BLOCK.
// One invocation a token: equal digits keep their order.

import package::shared::index::{At, item_index};
import package::token::digits::{RADIX, BLOCK, digit_of};

struct Params {
    count: u32,
    vocabulary: u32,
    shift: u32,
}

override FIRST: bool = false;

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn position_at(place: u32) -> u32 {
    if FIRST {
        return place;
    }
    return order[place];
}

@compute @workgroup_size(64)
fn digit_scatter(at: At) {
    let i = item_index(at, 64u);
    if i >= p.count {
        return;
    }
    let position = position_at(i);
    let digit = digit_of(tokens[position], p.vocabulary, p.shift);
    var place = places[i / BLOCK * RADIX + digit];
    for (var k = i / BLOCK * BLOCK; k < i; k++) {
        place += u32(digit_of(tokens[position_at(k)], p.vocabulary, p.shift) == digit);
    }
    sorted[place] = position;
}
