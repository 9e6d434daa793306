// C[t, b, :] = act(sum_k S[t, b, k] W[k, :] + bias)        S: packed spikes
//
// a: spikes [ceil(T / 32), B, k] words; b: weights [k, n]; bias: [n]; c: [T, B, n] output, or
// [chunks, T, B, n] partial sums over chunks of the depth (then without bias and activation); extra:
// S W + bias, like c, if PRE. What a launch does not use may be bound to anything.
// One invocation a tile of 4 RB rows x 4 CB columns, in registers. A block of 4 rows is 4 consecutive
// steps of one sample, so that one word serves the whole block; spikes are never written as floats.

import package::elementwise::activation::activate;
import package::shared::blocks::{spikes, depth_mask, masked, masked_rows};
import package::shared::index::{At, item_index};
import package::shared::tile::tile_at;
import package::linalg::operands::{p, quads, quad_words, b_block, bias_row, put, put_extra};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way. (With 4 x 4 blocks drivers give up unrolling.)
override RB: u32 = 2u;
override CB: u32 = 2u;
// The depth is no multiple of 4.
override TAIL: bool = true;
override ACT: u32 = 0u;
override PRE: bool = false;

@compute @workgroup_size(WG)
fn bits_matmul(at: At) {
    let tile = item_index(at, WG);
    let tiles_n = (p.n + 4u * CB - 1u) / (4u * CB);
    let tiles_m = (p.groups + RB - 1u) / RB;
    let corner = tile_at(tile % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + corner.x * RB;
    let col = corner.y * 4u * CB;
    let chunk = tile / (tiles_m * tiles_n);
    if chunk * p.chunk >= max(p.k, 1u) {
        return;
    }
    let end = min(p.k, (chunk + 1u) * p.chunk);
    let last_group = p.lanes * quads() - 1u;

    var acc: array<mat4x4<f32>, 4>;
    var bs: array<mat4x4<f32>, 2>;
    var lane: array<u32, 2>;
    var quad: array<u32, 2>;
    for (var i = 0u; i < RB; i++) {
        lane[i] = min(g + i, last_group) / quads();
        quad[i] = min(g + i, last_group) % quads();
    }
    var k0 = chunk * p.chunk;
    for (; k0 + 4u <= end; k0 += 4u) {
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_block(false, 0u, k0, col + 4u * j);
        }
        for (var i = 0u; i < RB; i++) {
            let words = quad_words(lane[i], quad[i], k0, p.k);
            let block = spikes(words, quad[i]);
            for (var j = 0u; j < CB; j++) {
                acc[i * CB + j] += bs[j] * block;
            }
        }
    }
    if TAIL {
        for (; k0 < end; k0 += 4u) {
            let mask = depth_mask(k0, end);
            for (var j = 0u; j < CB; j++) {
                bs[j] = masked_rows(b_block(false, 0u, k0, col + 4u * j), mask);
            }
            for (var i = 0u; i < RB; i++) {
                let words = quad_words(lane[i], quad[i], k0, p.k);
                let block = masked(spikes(words, quad[i]), mask);
                for (var j = 0u; j < CB; j++) {
                    acc[i * CB + j] += bs[j] * block;
                }
            }
        }
    }

    let last = min(last_group + 1u, p.group_first + p.groups);
    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let step = 4u * quad[i] + r;
                if g + i < last && step < p.steps {
                    var v = acc[i * CB + j][r];
                    if p.has_bias != 0u { v += bias_row(col + 4u * j); }
                    let start = ((chunk * p.steps + step) * p.lanes + lane[i]) * p.n;
                    if PRE { put_extra(start, col + 4u * j, v); }
                    if ACT != 0u {
                        v = vec4<f32>(
                            activate(ACT, p.slope, v.x), activate(ACT, p.slope, v.y),
                            activate(ACT, p.slope, v.z), activate(ACT, p.slope, v.w),
                        );
                    }
                    put(start, col + 4u * j, v);
                }
            }
        }
    }
}
