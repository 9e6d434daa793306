// C = act(A B + bias)                                  C: [m, n], for each entry of a batch
//
// a: [m, k] ([k, m] if A_T), b: [k, n] ([n, k] if B_T), f32, or f16 in pairs (HALF); bias: [n];
// c: [m, n] output, or [chunks, batches, m, n] partial sums over chunks of the depth (then without
// bias and activation); what c holds is added to if ADD. extra: A B + bias, like c, if PRE; the column sums of B, [chunks, batches, n],
// if SUMS. What a launch does not use may be bound to anything.
// One invocation a tile of 4 RB x 4 CB, in registers: no workgroup memory, no barrier.

import package::elementwise::activation::activate;
import package::shared::blocks::{depth_mask, masked, masked_rows};
import package::shared::index::{At, item_index};
import package::shared::tile::tile_at;
import package::linalg::operands::{p, a_block, b_block, bias_row, c_row, put, put_extra};

override WG: u32 = 64u;
// Blocks of 4 x 4 in a tile: 1 or 2 each way. (With 4 x 4 blocks drivers give up unrolling.)
override RB: u32 = 2u;
override CB: u32 = 2u;
override A_T: bool = false;
override B_T: bool = false;
// The depth is no multiple of 4.
override TAIL: bool = true;
override ACT: u32 = 0u;
override PRE: bool = false;
override SUMS: bool = false;
override ADD: bool = false;

@compute @workgroup_size(WG)
fn matmul(at: At) {
    let tile = item_index(at, WG);
    let tiles_n = (p.n + 4u * CB - 1u) / (4u * CB);
    let tiles_m = (p.groups + RB - 1u) / RB;
    let corner = tile_at(tile % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + corner.x * RB;
    let col = corner.y * 4u * CB;
    let z = tile / (tiles_m * tiles_n);
    let entry = p.batch_first + z % p.batch;
    let chunk = z / p.batch;
    if chunk * p.chunk >= max(p.k, 1u) {
        return;
    }
    let end = min(p.k, (chunk + 1u) * p.chunk);
    let start_a = entry * p.stride_a;
    let start_b = entry * p.stride_b;

    var acc: array<mat4x4<f32>, 4>;
    var sums: array<vec4<f32>, 2>;
    var bs: array<mat4x4<f32>, 2>;
    var k0 = chunk * p.chunk;
    for (; k0 + 4u <= end; k0 += 4u) {
        for (var j = 0u; j < CB; j++) {
            bs[j] = b_block(B_T, start_b, k0, col + 4u * j);
            if SUMS { sums[j] += bs[j] * vec4<f32>(1.0); }
        }
        for (var i = 0u; i < RB; i++) {
            let block = a_block(A_T, start_a, g + i, k0);
            for (var j = 0u; j < CB; j++) {
                acc[i * CB + j] += bs[j] * block;
            }
        }
    }
    if TAIL {
        for (; k0 < end; k0 += 4u) {
            let mask = depth_mask(k0, end);
            for (var j = 0u; j < CB; j++) {
                bs[j] = masked_rows(b_block(B_T, start_b, k0, col + 4u * j), mask);
                if SUMS { sums[j] += bs[j] * vec4<f32>(1.0); }
            }
            for (var i = 0u; i < RB; i++) {
                let block = masked(a_block(A_T, start_a, g + i, k0), mask);
                for (var j = 0u; j < CB; j++) {
                    acc[i * CB + j] += bs[j] * block;
                }
            }
        }
    }

    let place = chunk * p.batches + entry;
    let last_row = min(p.m, 4u * (p.group_first + p.groups));
    for (var i = 0u; i < RB; i++) {
        for (var j = 0u; j < CB; j++) {
            for (var r = 0u; r < 4u; r++) {
                let row = 4u * (g + i) + r;
                if row < last_row {
                    var v = acc[i * CB + j][r];
                    if p.has_bias != 0u { v += bias_row(col + 4u * j); }
                    let start = (place * p.m + row) * p.n;
                    if PRE { put_extra(start, col + 4u * j, v); }
                    if ACT != 0u {
                        v = vec4<f32>(
                            activate(ACT, p.slope, v.x), activate(ACT, p.slope, v.y),
                            activate(ACT, p.slope, v.z), activate(ACT, p.slope, v.w),
                        );
                    }
                    if ADD { v += c_row(start, col + 4u * j); }
                    put(start, col + 4u * j, v);
                }
            }
        }
    }
    if SUMS && g == 0u {
        for (var j = 0u; j < CB; j++) {
            put_extra(place * p.n, col + 4u * j, sums[j]);
        }
    }
}
