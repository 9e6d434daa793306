// C[t, l, :] = scale sum_k A[t, l, k] B[l, k, :]             A, B or both: packed spikes
//
// Lanes l are heads of samples, see attention/heads.wgsl.
// a: [S, L, k], f32 if DENSE, else packed spikes; b: [L, k, n] ([L, n, k] if B_T), or with TOKENS packed
// spikes [k, L, n] ([n, L, k] if B_T); c: [S, L, n] output.
// One invocation a tile of 4 RB tokens x 4 CB columns of a lane, in registers; neighbours share the
// tokens, then the lane.

import package::shared::blocks::{depth_mask, masked, masked_rows};
import package::attention::heads::{p, a_tokens, b_block, put};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way.
override RB: u32 = 2u;
override CB: u32 = 2u;
override B_T: bool = false;
// The depth is no multiple of 4.
override TAIL: bool = true;

@compute @workgroup_size(WG)
fn spike_rows(at: At) {
    let tile = item_index(at, WG);
    let quads = (p.steps + 3u) / 4u;
    let tiles_t = (quads + RB - 1u) / RB;
    let tiles_n = (p.n + 4u * CB - 1u) / (4u * CB);
    if tile >= p.lane_count * tiles_t * tiles_n {
        return;
    }
    let lane = p.lane_first + tile / (tiles_t * tiles_n);
    let quad = tile / tiles_n % tiles_t * RB;
    let col = tile % tiles_n * 4u * CB;

    var acc: array<mat4x4<f32>, 4>;
    var bs: array<mat4x4<f32>, 2>;
    for (var k0 = 0u; k0 < p.k; k0 += 4u) {
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_block(B_T, lane, k0, col + 4u * j);
            if TAIL { bs[j] = masked_rows(bs[j], depth_mask(k0, p.k)); }
        }
        for (var i = 0u; i < RB; i++) {
            var block = a_tokens(lane, min(quad + i, quads - 1u), k0);
            if TAIL { block = masked(block, depth_mask(k0, p.k)); }
            for (var j = 0u; j < CB; j++) {
                acc[i * CB + j] += bs[j] * block;
            }
        }
    }

    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let step = 4u * (quad + i) + r;
                if step < p.steps {
                    put((step * p.lanes + lane) * p.n, col + 4u * j, acc[i * CB + j][r] * p.scale);
                }
            }
        }
    }
}
