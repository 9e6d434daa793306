// y = r Z X, or a parameter y takes a step along it, by tiles in workgroup memory
//
// Operands and outcome as in `apply_product.wgsl`.
// A workgroup of 128 makes a tile of 64 x 64 in steps of 16 in depth: half of it brings blocks of 4 x 4
// of A, half of B, to workgroup memory (8 KiB), then each multiplies 8 rows x 4 columns from there.

import package::shared::index::group_index;
import package::shared::tile::tile_at;
import package::shared::applied::{p, a_block, b_block, outer_factor, put, skipped};

override TALL: bool = false;
override SCALED: bool = false;

// Blocks of depth of a step.
const STEP: u32 = 4u;

// For each depth of the step, 64 rows of A as 16 vectors; likewise 64 columns of B.
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

@compute @workgroup_size(128)
fn apply_product_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = group_index(group, groups);
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
    // The block that this invocation brings: depth block `depth`, block of rows or columns `across`.
    let depth = local % 64u / 16u;
    let across = local % 16u;
    // The part of the tile that it multiplies.
    let x = local % 16u;
    let y = local / 16u;
    var upper: mat4x4<f32>;
    var lower: mat4x4<f32>;
    let blocks = p.k / 4u;
    for (var d0 = 0u; d0 < blocks; d0 += STEP) {
        let d = d0 + depth;
        let inside = f32(d < blocks);
        let safe = min(d, blocks - 1u);
        if local < 64u {
            let block = transpose(inside * a_block(TALL, e, g + across, safe));
            for (var i = 0u; i < 4u; i++) {
                tile_a[(4u * depth + i) * 16u + across] = block[i];
            }
        } else {
            let block = inside * b_block(e, safe, h + across);
            for (var i = 0u; i < 4u; i++) {
                tile_b[(4u * depth + i) * 16u + across] = block[i];
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < 4u * STEP; k++) {
            let b = tile_b[k * 16u + x];
            let a0 = tile_a[k * 16u + 2u * y];
            let a1 = tile_a[k * 16u + 2u * y + 1u];
            upper += mat4x4<f32>(a0.x * b, a0.y * b, a0.z * b, a0.w * b);
            lower += mat4x4<f32>(a1.x * b, a1.y * b, a1.z * b, a1.w * b);
        }
        workgroupBarrier();
    }
    if skipped() {
        return;
    }
    let factor = outer_factor(SCALED, e);
    put(z, g + 2u * y, h + x, factor * upper);
    put(z, g + 2u * y + 1u, h + x, factor * lower);
}
