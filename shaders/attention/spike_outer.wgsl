// C[l, i, :] = scale sum_t A[t, l, i] G[t, l, :]             A: packed spikes
//
// Lanes l are heads of samples, see attention/heads.wgsl.
// a: [ceil(S / 32), L, k] words; b: G [S, L, n]; c: [L, k, n] output, or [chunks, L, k, n] partial sums
// over chunks of the tokens.
// One invocation a tile of 4 RB channels x 4 CB columns of a lane and chunk, in registers; four words
// serve 4 channels x 4 tokens.

import package::shared::blocks::{four, spikes, depth_mask, masked_rows};
import package::attention::heads::{p, a_four, b_rows, put};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way.
override RB: u32 = 2u;
override CB: u32 = 2u;

@compute @workgroup_size(WG)
fn spike_outer(at: At) {
    let tile = item_index(at, WG);
    let tiles_k = (p.k + 4u * RB - 1u) / (4u * RB);
    let tiles_n = (p.n + 4u * CB - 1u) / (4u * CB);
    let part = tile / (tiles_k * tiles_n);
    let lane = p.lane_first + part % p.lane_count;
    let chunk = part / p.lane_count;
    if chunk * p.chunk >= p.steps {
        return;
    }
    let row = tile / tiles_n % tiles_k * 4u * RB;
    let col = tile % tiles_n * 4u * CB;
    let end = (min(p.steps, (chunk + 1u) * p.chunk) + 3u) / 4u;

    var acc: array<mat4x4<f32>, 4>;
    var bs: array<mat4x4<f32>, 2>;
    for (var quad = chunk * p.chunk / 4u; quad < end; quad++) {
        // Tokens beyond S have no spikes, and no row of G.
        let rows = (four(4u * quad, p.steps - 1u) * p.lanes + vec4<u32>(lane)) * p.n;
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_rows(rows, col + 4u * j, p.n);
            if 4u * quad + 4u > p.steps {
                bs[j] = masked_rows(bs[j], depth_mask(4u * quad, p.steps));
            }
        }
        for (var i = 0u; i < RB; i++) {
            let words = a_four((quad / 8u * p.lanes + lane) * p.k, row + 4u * i, p.k);
            let block = transpose(spikes(words, quad));
            for (var j = 0u; j < CB; j++) {
                acc[i * CB + j] += bs[j] * block;
            }
        }
    }

    let start = (chunk * p.lanes + lane) * p.k;
    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let channel = row + 4u * i + r;
                if channel < p.k {
                    put((start + channel) * p.n, col + 4u * j, acc[i * CB + j][r] * p.scale);
                }
            }
        }
    }
}
