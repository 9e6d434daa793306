// y = r Z X, or a parameter y takes a step along it (UPDATE; `shared/step.wgsl`), for each matrix
//
// Z: [.., m, m] symmetric; X: [.., m, n], wide and padded to multiples of 4; y: [entries, rows, cols]
// without the padding. a: Z, b: X; for matrices that are taller than wide (TALL) a: X, b: Z, and y is
// the transpose. a and b are read by four, f32 or f16 (HALF); sums are f32. start: [.., 2] of
// `clip_plan`, which holds r (SCALED; else r = 1); numbers, clip: those of `optim/update.wgsl`.
// One invocation a tile of 4 R x 4 R, in registers: no workgroup memory, no barrier.

import package::shared::index::{At, item_index};
import package::shared::tile::tile_at;
import package::spectral::applied::{p, a_block, b_block, outer_factor, put, skipped};

override WG: u32 = 64u;
override TALL: bool = false;
override SCALED: bool = false;
// Blocks of 4 x 4 along the edge of a tile: 1 or 2.
override R: u32 = 2u;

@compute @workgroup_size(WG)
fn apply_product(at: At) {
    let item = item_index(at, WG);
    let tiles_m = (p.groups + R - 1u) / R;
    let tiles_n = (p.n / 4u + R - 1u) / R;
    let z = item / (tiles_m * tiles_n);
    if z >= p.entries || skipped() {
        return;
    }
    let e = p.first + z;
    let tile = tile_at(item % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + R * tile.x;
    let h = R * tile.y;
    var sum: array<mat4x4<f32>, 4>;
    var right: array<mat4x4<f32>, 2>;
    for (var d = 0u; d < p.k / 4u; d++) {
        for (var j = 0u; j < R; j++) {
            right[j] = b_block(e, d, h + j);
        }
        for (var i = 0u; i < R; i++) {
            let left = a_block(TALL, e, g + i, d);
            for (var j = 0u; j < R; j++) {
                sum[i * R + j] += right[j] * left;
            }
        }
    }
    let factor = outer_factor(SCALED, e);
    for (var i = 0u; i < R; i++) {
        for (var j = 0u; j < R; j++) {
            put(z, g + i, h + j, factor * sum[i * R + j]);
        }
    }
}
