// counts[b, d] = how many of the tokens of block b have digit d
//
// tokens: [count]; order: [count], the order so far, not read if FIRST (it is that of the positions);
// counts: [blocks, RADIX]. Block b is places b * BLOCK .. (b + 1) * BLOCK of the order.
// One invocation a count: those of a workgroup read the same tokens.

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
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn digit_counts(at: At) {
    let i = item_index(at, 64u);
    let first = i / RADIX * BLOCK;
    if first >= p.count {
        return;
    }
    var found = 0u;
    for (var place = first; place < min(first + BLOCK, p.count); place++) {
        var position = place;
        if !FIRST {
            position = order[place];
        }
        found += u32(digit_of(tokens[position], p.vocabulary, p.shift) == i % RADIX);
    }
    counts[i] = found;
}
