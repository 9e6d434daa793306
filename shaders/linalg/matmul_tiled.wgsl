// C = act(A B + bias), by tiles in workgroup memory          C: [m, n], for each entry of a batch
//
// a: [m, k] ([k, m] if A_T), b: [k, n] ([n, k] if B_T), f32, or f16 in pairs (HALF); bias: [n];
// c: [m, n] output, or [chunks, batches, m, n] partial sums over chunks of the depth (then without
// bias and activation); what c holds is added to if ADD. extra: A B + bias, like c, if PRE; the column sums of B, [chunks, batches, n],
// if SUMS. What a launch does not use may be bound to anything.
// A workgroup of 128 makes a tile of 64 x 64 in steps of 16 in depth: half of it brings blocks of 4 x 4
// of A, half of B, to workgroup memory (8 KiB), then each multiplies 8 rows x 4 columns from there.

import package::shared::activation::activate;
import package::shared::blocks::{depth_mask, masked};
import package::shared::index::group_index;
import package::shared::tile::tile_at;
import package::shared::operands::{p, a_block, b_block, bias_row, c_row, put, put_extra};

override A_T: bool = false;
override B_T: bool = false;
override ACT: u32 = 0u;
override PRE: bool = false;
override SUMS: bool = false;
override ADD: bool = false;

const STEP: u32 = 16u;

// For each depth of the step, 64 rows of A as 16 vectors; likewise 64 columns of B.
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

@compute @workgroup_size(128)
fn matmul_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = group_index(group, groups);
    let tiles_n = (p.n + 63u) / 64u;
    let tiles_m = (p.groups + 15u) / 16u;
    let corner = tile_at(tile % (tiles_m * tiles_n), tiles_m, tiles_n);
    let g = p.group_first + corner.x * 16u;
    let col = corner.y * 64u;
    let z = tile / (tiles_m * tiles_n);
    let entry = p.batch_first + z % p.batch;
    let chunk = z / p.batch;
    if chunk * p.chunk >= max(p.k, 1u) {
        return;
    }
    let end = min(p.k, (chunk + 1u) * p.chunk);

    // The block that this invocation brings: depths 4 depth .., rows or columns 4 across ..
    let depth = local % 64u / 16u;
    let across = local % 16u;
    // The part of the tile that it multiplies.
    let x = local % 16u;
    let y = local / 16u;
    var acc: array<vec4<f32>, 8>;
    var sums: vec4<f32>;
    for (var k0 = chunk * p.chunk; k0 < end; k0 += STEP) {
        let kd = k0 + 4u * depth;
        let mask = depth_mask(kd, end);
        if local < 64u {
            let block = transpose(masked(a_block(A_T, entry * p.stride_a, g + across, kd), mask));
            for (var i = 0u; i < 4u; i++) {
                tile_a[(4u * depth + i) * 16u + across] = block[i];
            }
        } else {
            let block = b_block(B_T, entry * p.stride_b, kd, col + 4u * across);
            for (var i = 0u; i < 4u; i++) {
                tile_b[(4u * depth + i) * 16u + across] = block[i] * mask[i];
            }
        }
        workgroupBarrier();
        for (var k = 0u; k < STEP; k++) {
            let b = tile_b[k * 16u + x];
            let a0 = tile_a[k * 16u + 2u * y];
            let a1 = tile_a[k * 16u + 2u * y + 1u];
            acc[0] += a0.x * b;
            acc[1] += a0.y * b;
            acc[2] += a0.z * b;
            acc[3] += a0.w * b;
            acc[4] += a1.x * b;
            acc[5] += a1.y * b;
            acc[6] += a1.z * b;
            acc[7] += a1.w * b;
            if SUMS { sums += b; }
        }
        workgroupBarrier();
    }

    let place = chunk * p.batches + entry;
    let last_row = min(p.m, 4u * (p.group_first + p.groups));
    for (var i = 0u; i < 8u; i++) {
        let row = 4u * g + 8u * y + i;
        if row < last_row {
            var v = acc[i];
            if p.has_bias != 0u { v += bias_row(col + 4u * x); }
            let start = (place * p.m + row) * p.n;
            if PRE { put_extra(start, col + 4u * x, v); }
            if ACT != 0u {
                v = vec4<f32>(
                    activate(ACT, p.slope, v.x), activate(ACT, p.slope, v.y),
                    activate(ACT, p.slope, v.z), activate(ACT, p.slope, v.w),
                );
            }
            if ADD { v += c_row(start, col + 4u * x); }
            put(start, col + 4u * x, v);
        }
    }
    if SUMS && g + y == 0u {
        put_extra(place * p.n, col + 4u * x, sums);
    }
}
