// C = u I + v A + x B + w A B, a symmetric matrix, by tiles in workgroup memory
//
// Operands, coefficients and outputs as in `symmetric_product.wgsl`.
// A workgroup of 128 makes a tile of 64 x 64 on or above the diagonal (shared/tiles.wgsl). Whether there is
// anything to do is the same for a whole workgroup.

import package::shared::index::{Group, group_index};
import package::spectral::symmetric::{
    p, entry_at, coefficients, upper_tile, upper_tiles, a_block, b_block, finish,
};
import package::shared::tiles::{STEP, brings_a, brought, bring_a, bring_b, place_of, multiply};

override PLAN: bool = false;
override ROWS: bool = false;

@compute @workgroup_size(128)
fn symmetric_product_tiled(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at);
    if item >= p.tile_count {
        return;
    }
    let tiles = upper_tiles();
    let first = entry_at((p.tile_first + item) / tiles);
    let factors = coefficients(PLAN, first);
    if all(factors == vec4<f32>(0.0)) {
        return;
    }
    let corner = 16u * upper_tile((p.tile_first + item) % tiles);
    let at_block = brought(local);
    let place = place_of(local);
    var sums: array<mat4x4<f32>, 2>;
    let blocks = select(0u, p.k / 4u, factors.z != 0.0);
    for (var d0 = 0u; d0 < blocks; d0 += STEP) {
        let d = d0 + at_block.x;
        let inside = f32(d < blocks);
        let safe = min(d, blocks - 1u);
        if brings_a(local) {
            bring_a(at_block, inside * a_block(first, corner.x + at_block.y, safe));
        } else {
            bring_b(at_block, inside * b_block(ROWS, first, safe, corner.y + at_block.y));
        }
        workgroupBarrier();
        multiply(place, &sums);
        workgroupBarrier();
    }
    for (var i = 0u; i < 2u; i++) {
        finish(ROWS, first, factors, corner.x + 2u * place.x + i, corner.y + place.y, sums[i]);
    }
}
