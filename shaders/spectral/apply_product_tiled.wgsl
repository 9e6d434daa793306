// y = r Z X, or a parameter y takes a step along it, by tiles in workgroup memory
//
// Operands and outcome as in `apply_product.wgsl`.
// A workgroup of 128 makes a tile of 64 x 64 (shared/tiles.wgsl).

import package::shared::index::{Group, group_index};
import package::shared::tile::tile_at;
import package::spectral::applied::{p, a_block, b_block, outer_factor, put, skipped};
import package::shared::tiles::{STEP, brings_a, brought, bring_a, bring_b, place_of, multiply};

override TALL: bool = false;
override SCALED: bool = false;

@compute @workgroup_size(128)
fn apply_product_tiled(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at);
    let tiles_m = (p.groups + 15u) / 16u;
    let tiles_n = (p.n + 63u) / 64u;
    let z = item / (tiles_m * tiles_n);
    if z >= p.entries {
        return;
    }
    let e = p.first + z;
    let tile = tile_at(item % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + 16u * tile.x;
    let h = 16u * tile.y;
    let at_block = brought(local);
    let place = place_of(local);
    var sums: array<mat4x4<f32>, 2>;
    let blocks = p.k / 4u;
    for (var d0 = 0u; d0 < blocks; d0 += STEP) {
        let d = d0 + at_block.x;
        let inside = f32(d < blocks);
        let safe = min(d, blocks - 1u);
        if brings_a(local) {
            bring_a(at_block, inside * a_block(TALL, e, g + at_block.y, safe));
        } else {
            bring_b(at_block, inside * b_block(e, safe, h + at_block.y));
        }
        workgroupBarrier();
        multiply(place, &sums);
        workgroupBarrier();
    }
    if skipped() {
        return;
    }
    let factor = outer_factor(SCALED, e);
    for (var i = 0u; i < 2u; i++) {
        put(z, g + 2u * place.x + i, h + place.y, factor * sums[i]);
    }
}
