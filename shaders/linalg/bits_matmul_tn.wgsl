// C[k, :] = sum_{t, b} S[t, b, k] G[t, b, :]               S: packed spikes
//
// a: spikes [ceil(T / 32), B, m] words; b: G [T, B, n]; bias: unused; c: [m, n] output, or
// [chunks, m, n] partial sums over chunks of the depth; extra: the column sums of G, [chunks, n], if
// SUMS. What a launch does not use may be bound to anything.
// One invocation a tile of 4 RB features x 4 CB columns, in registers. The depth runs over samples
// and, within each, groups of 4 steps: four words serve 4 features x 4 steps.

import package::shared::blocks::{spikes, four, depth_mask, masked_rows};
import package::shared::index::{At, item_index};
import package::shared::tile::tile_at;
import package::linalg::operands::{p, quads, quad_words, b_rows, put, put_extra};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way. (With 4 x 4 blocks drivers give up unrolling.)
override RB: u32 = 2u;
override CB: u32 = 2u;
override SUMS: bool = false;

@compute @workgroup_size(WG)
fn bits_matmul_tn(at: At) {
    let tile = item_index(at, WG);
    let tiles_n = (p.n + 4u * CB - 1u) / (4u * CB);
    let tiles_m = (p.groups + RB - 1u) / RB;
    let corner = tile_at(tile % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + corner.x * RB;
    let col = corner.y * 4u * CB;
    let chunk = tile / (tiles_m * tiles_n);
    // A quad is four steps of depth, whether or not T fills the last one.
    let quads = quads();
    let first = chunk * p.chunk / 4u;
    if first >= max(p.lanes * quads, 1u) {
        return;
    }
    let end = min(p.lanes * quads, first + p.chunk / 4u);

    var acc: array<mat4x4<f32>, 4>;
    var sums: array<vec4<f32>, 2>;
    var bs: array<mat4x4<f32>, 2>;
    var lane = first / quads;
    var quad = first % quads;
    for (var d = first; d < end; d++) {
        // Steps beyond T have no spikes, and no row of G.
        let rows = four(4u * quad, p.steps - 1u) * p.lanes + vec4<u32>(lane);
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_rows(0u, rows, col + 4u * j);
            if 4u * quad + 4u > p.steps {
                bs[j] = masked_rows(bs[j], depth_mask(4u * quad, p.steps));
            }
            if SUMS { sums[j] += bs[j] * vec4<f32>(1.0); }
        }
        for (var i = 0u; i < RB; i++) {
            let words = quad_words(lane, quad, 4u * (g + i), p.m);
            let block = transpose(spikes(words, quad));
            for (var j = 0u; j < CB; j++) {
                acc[i * CB + j] += bs[j] * block;
            }
        }
        quad++;
        if quad == quads {
            quad = 0u;
            lane++;
        }
    }

    let last_row = min(p.m, 4u * (p.group_first + p.groups));
    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let row = 4u * (g + i) + r;
                if row < last_row {
                    put((chunk * p.m + row) * p.n, col + 4u * j, acc[i * CB + j][r]);
                }
            }
        }
    }
    if SUMS && g == 0u {
        for (var j = 0u; j < CB; j++) {
            put_extra(chunk * p.n, col + 4u * j, sums[j]);
        }
    }
}
