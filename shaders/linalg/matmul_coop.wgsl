// C = A B, f16 operands, f32 sums, by cooperative matrices     C: [m, n]
//
// a: [m, k], b: [k, n], pairs of f16; c: [m, n] f32 output. All extents are multiples of 16.
// One subgroup a tile of SIZE x SIZE, SIZE of depth at a time in the matrix unit. The baseline, for
// adapters without one, computes the same tiles in plain arithmetic: it is there for the tests.

import package::shared::index::{Group, group_index};
import package::linalg::product::Params;

@if(COOP) enable f16;
@if(COOP) enable wgpu_cooperative_matrix;

override WG: u32 = 32u;
@if(!EIGHT) const SIZE: u32 = 16u;
@if(EIGHT) const SIZE: u32 = 8u;

@if(COOP) @group(0) @binding(0) var<storage, read> a: array<f16>;
@if(COOP) @group(0) @binding(1) var<storage, read> b: array<f16>;
@if(!COOP) @group(0) @binding(0) var<storage, read> a: array<u32>;
@if(!COOP) @group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(COOP && !EIGHT) fn tile(row: u32, col: u32, local: u32) {
    var sum = coop_mat16x16<f32, C>();
    for (var k = 0u; k < p.k; k += SIZE) {
        let x = coopLoadT<coop_mat16x16<f16, A>>(&a[row * p.k + k], p.k);
        let y = coopLoadT<coop_mat16x16<f16, B>>(&b[k * p.n + col], p.n);
        sum = coopMultiplyAdd(x, y, sum);
    }
    // Named first: naga's SPIR-V writer takes no expression of the store itself.
    let total = sum;
    let place = &c[row * p.n + col];
    let stride = p.n;
    coopStoreT(total, place, stride);
}
@if(COOP && EIGHT) fn tile(row: u32, col: u32, local: u32) {
    var sum = coop_mat8x8<f32, C>();
    for (var k = 0u; k < p.k; k += SIZE) {
        let x = coopLoadT<coop_mat8x8<f16, A>>(&a[row * p.k + k], p.k);
        let y = coopLoadT<coop_mat8x8<f16, B>>(&b[k * p.n + col], p.n);
        sum = coopMultiplyAdd(x, y, sum);
    }
    // Named first: naga's SPIR-V writer takes no expression of the store itself.
    let total = sum;
    let place = &c[row * p.n + col];
    let stride = p.n;
    coopStoreT(total, place, stride);
}

@if(!COOP) fn half(pair: u32, i: u32) -> f32 {
    return select(unpack2x16float(pair).x, unpack2x16float(pair).y, i % 2u == 1u);
}
@if(!COOP) fn tile(row: u32, col: u32, local: u32) {
    for (var i = local; i < SIZE * SIZE; i += WG) {
        let r = (row + i / SIZE) * p.k;
        let q = col + i % SIZE;
        var sum = 0.0;
        for (var k = 0u; k < p.k; k++) {
            sum += half(a[(r + k) / 2u], r + k) * half(b[(k * p.n + q) / 2u], q);
        }
        c[(row + i / SIZE) * p.n + q] = sum;
    }
}

@compute @workgroup_size(WG)
fn matmul_coop(at: Group, @builtin(local_invocation_index) local: u32) {
    let tiles_n = p.n / SIZE;
    let i = group_index(at);
    let row = 4u * p.group_first + i / tiles_n * SIZE;
    if row < min(p.m, 4u * (p.group_first + p.groups)) {
        tile(row, i % tiles_n * SIZE, local);
    }
}
