// C[l, i, j] = scale sum_t A[t, l, i] B[t, l, j]             A, B: packed spikes
//
// Lanes l are heads of samples, see attention/heads.wgsl.
// a: [ceil(S / 32), L, k] words; b: [ceil(S / 32), L, n] words; c: [L, k, n] output, or
// [chunks, L, k, n] partial sums over chunks of the tokens.
// One invocation a tile of 4 RB x 4 CB counts of a lane and chunk, in registers: one `and` and one
// population count are 32 multiplications and additions. Counts are integers until they are stored.

import package::attention::heads::{p, a_four, b_four, put};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way.
override RB: u32 = 2u;
override CB: u32 = 2u;

@compute @workgroup_size(WG)
fn spike_overlap(at: At) {
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
    let end = (min(p.steps, (chunk + 1u) * p.chunk) + 31u) / 32u;

    var counts: array<vec4<u32>, 16>;
    var bs: array<vec4<u32>, 2>;
    for (var word = chunk * p.chunk / 32u; word < end; word++) {
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_four((word * p.lanes + lane) * p.n, col + 4u * j, p.n);
        }
        for (var i = 0u; i < RB; i++) {
            let words = a_four((word * p.lanes + lane) * p.k, row + 4u * i, p.k);
            for (var j = 0u; j < CB; j++) {
                for (var r = 0u; r < 4u; r++) {
                    counts[(i * CB + j) * 4u + r] += countOneBits(vec4<u32>(words[r]) & bs[j]);
                }
            }
        }
    }

    let start = (chunk * p.lanes + lane) * p.k;
    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let channel = row + 4u * i + r;
                if channel < p.k {
                    let sums = vec4<f32>(counts[(i * CB + j) * 4u + r]);
                    put((start + channel) * p.n, col + 4u * j, sums * p.scale);
                }
            }
        }
    }
}
