// counts[b, d] becomes the number of tokens with a smaller digit, or with digit d in an earlier block:
// the place of the first token of block b with digit d
//
// counts: [blocks, RADIX], read and written in place.
// One workgroup, an invocation a digit, which walks over the blocks.

import package::token::digits::RADIX;

struct Params {
    blocks: u32,
}

@group(0) @binding(0) var<storage, read_write> counts: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> totals: array<u32, 256>;

@compute @workgroup_size(256)
fn digit_scan(@builtin(local_invocation_index) digit: u32) {
    var total = 0u;
    for (var b = 0u; b < p.blocks; b++) {
        total += counts[b * RADIX + digit];
    }
    totals[digit] = total;
    workgroupBarrier();
    var place = 0u;
    for (var d = 0u; d < digit; d++) {
        place += totals[d];
    }
    for (var b = 0u; b < p.blocks; b++) {
        let i = b * RADIX + digit;
        let here = counts[i];
        counts[i] = place;
        place += here;
    }
}
