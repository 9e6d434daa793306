// C = u I + v A + x B + w A B, a symmetric matrix                C: [m, m], for each part and matrix
//
// a: [parts, batch, m, k], b: [batch, k, m] ([batch, m, k] if ROWS), f32 or f16 (HALF); all extents are
// multiples of 4 and elements are read by four; sums are f32; plan: [batch, steps, 2] coefficients (u,
// v, w, x) of each part, read if PLAN, nothing is computed where all four are zero; c: [batch, m, m], the
// first part, f32 or f16 (HALF_OUT); second: [.., m, m], the second one from matrix `second_start` on.
// What a launch does not use may be bound to anything of its type. v and x need k = m.
// Only what lies on and above the diagonal is computed, and stored twice. One invocation a tile of
// 4 R x 4 R, in registers: no workgroup memory, no barrier.

import package::shared::index::{At, item_index};
import package::spectral::symmetric::{
    p, entry_at, coefficients, upper_tile, upper_tiles, a_block, b_block, finish,
};

override WG: u32 = 64u;
override PLAN: bool = false;
override ROWS: bool = false;
// Blocks of 4 x 4 along the edge of a tile: 1 or 2.
override R: u32 = 2u;

@compute @workgroup_size(WG)
fn symmetric_product(at: At) {
    let item = item_index(at, WG);
    if item >= p.tile_count {
        return;
    }
    let tiles = upper_tiles();
    let place = entry_at((p.tile_first + item) / tiles);
    let factors = coefficients(PLAN, place);
    if all(factors == vec4<f32>(0.0)) {
        return;
    }
    let corner = R * upper_tile((p.tile_first + item) % tiles);
    var sum: array<mat4x4<f32>, 4>;
    var right: array<mat4x4<f32>, 2>;
    if factors.z != 0.0 {
        for (var d = 0u; d < p.k / 4u; d++) {
            for (var j = 0u; j < R; j++) {
                right[j] = b_block(ROWS, place, d, corner.y + j);
            }
            for (var i = 0u; i < R; i++) {
                let left = a_block(place, corner.x + i, d);
                for (var j = 0u; j < R; j++) {
                    sum[i * R + j] += right[j] * left;
                }
            }
        }
    }
    for (var i = 0u; i < R; i++) {
        for (var j = 0u; j < R; j++) {
            finish(ROWS, place, factors, corner.x + i, corner.y + j, sum[i * R + j]);
        }
    }
}
