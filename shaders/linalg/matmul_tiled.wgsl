// C = act(A B + bias), by tiles in workgroup memory          C: [m, n], for each entry of a batch
//
// a: [m, k] ([k, m] if A_T), b: [k, n] ([n, k] if B_T), f32, or f16 in pairs (HALF); bias: [n];
// c: [m, n] output, or [chunks, batches, m, n] partial sums over chunks of the depth (then without
// bias and activation); what c holds is added to if ADD. extra: A B + bias, like c, if PRE; the column
// sums of B, [chunks, batches, n], if SUMS. What a launch does not use may be bound to anything.
// A workgroup of 128 makes a tile of 64 x 64 (shared/tiles.wgsl).

import package::elementwise::activation::activate;
import package::shared::blocks::{depth_mask, masked, masked_rows};
import package::shared::index::{Group, group_index};
import package::shared::tile::tile_at;
import package::shared::tiles::{
    STEP, brings_a, brought, bring_a, bring_b, place_of, multiply, column_sums,
};
import package::linalg::operands::{p, a_block, b_block, bias_row, c_row, put, put_extra};

override A_T: bool = false;
override B_T: bool = false;
override ACT: u32 = 0u;
override PRE: bool = false;
override SUMS: bool = false;
override ADD: bool = false;

@compute @workgroup_size(128)
fn matmul_tiled(at: Group, @builtin(local_invocation_index) local: u32) {
    let tile = group_index(at);
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

    let at_block = brought(local);
    let place = place_of(local);
    var acc: array<mat4x4<f32>, 2>;
    var sums: vec4<f32>;
    for (var k0 = chunk * p.chunk; k0 < end; k0 += 4u * STEP) {
        let kd = k0 + 4u * at_block.x;
        let mask = depth_mask(kd, end);
        if brings_a(local) {
            bring_a(at_block, masked(a_block(A_T, entry * p.stride_a, g + at_block.y, kd), mask));
        } else {
            let block = b_block(B_T, entry * p.stride_b, kd, col + 4u * at_block.y);
            bring_b(at_block, masked_rows(block, mask));
        }
        workgroupBarrier();
        multiply(place, &acc);
        if SUMS { sums += column_sums(place); }
        workgroupBarrier();
    }

    let output = chunk * p.batches + entry;
    let x = place.y;
    let last_row = min(p.m, 4u * (p.group_first + p.groups));
    for (var i = 0u; i < 8u; i++) {
        let row = 4u * g + 8u * place.x + i;
        if row < last_row {
            var v = acc[i / 4u][i % 4u];
            if p.has_bias != 0u { v += bias_row(col + 4u * x); }
            let start = (output * p.m + row) * p.n;
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
    if SUMS && g + place.x == 0u {
        put_extra(output * p.n, col + 4u * x, sums);
    }
}
