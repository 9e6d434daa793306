// Operands of matrix products that run within each head of tokens [S, B, H d].
//
// A lane is a head of a sample: tokens are [S, L, d] with L = B H, packed ones [ceil(S / 32), L, d]
// words. Blocks of 4 x 4 are as in linalg/operands.wgsl: `b * a` is a block of C = A B, its columns
// being C's rows.
//
// Conditions: VEC, k and n are multiples of 4 and elements are read four at a time (else one at a time,
// with indices clamped: what lies outside is never stored); DENSE, a holds f32 (else packed spikes);
// TOKENS, b holds packed spikes (else f32).

import package::shared::blocks::{four, spikes};

struct Params {
    // Tokens S and lanes L of a.
    steps: u32,
    lanes: u32,
    // Elements of a row of a and of a row of C.
    k: u32,
    n: u32,
    // This launch covers so many lanes from the first on.
    lane_first: u32,
    lane_count: u32,
    // Tokens of a chunk where a sum over tokens is split, a multiple of 32.
    chunk: u32,
    scale: f32,
}

@if(VEC && DENSE) @group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@if(!VEC && DENSE) @group(0) @binding(0) var<storage, read> a: array<f32>;
@if(VEC && !DENSE) @group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@if(!VEC && !DENSE) @group(0) @binding(0) var<storage, read> a: array<u32>;
@if(VEC && !TOKENS) @group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@if(!VEC && !TOKENS) @group(0) @binding(1) var<storage, read> b: array<f32>;
@if(VEC && TOKENS) @group(0) @binding(1) var<storage, read> b: array<vec4<u32>>;
@if(!VEC && TOKENS) @group(0) @binding(1) var<storage, read> b: array<u32>;
@if(VEC) @group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
@if(!VEC) @group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Elements col .. col + 3 of the row of `width` elements that starts at element `row`.
@if(VEC && DENSE) fn a_four(row: u32, col: u32, width: u32) -> vec4<f32> {
    return a[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && DENSE) fn a_four(row: u32, col: u32, width: u32) -> vec4<f32> {
    let i = vec4<u32>(row) + four(col, width - 1u);
    return vec4<f32>(a[i.x], a[i.y], a[i.z], a[i.w]);
}
@if(VEC && !DENSE) fn a_four(row: u32, col: u32, width: u32) -> vec4<u32> {
    return a[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && !DENSE) fn a_four(row: u32, col: u32, width: u32) -> vec4<u32> {
    let i = vec4<u32>(row) + four(col, width - 1u);
    return vec4<u32>(a[i.x], a[i.y], a[i.z], a[i.w]);
}
@if(VEC && !TOKENS) fn b_four(row: u32, col: u32, width: u32) -> vec4<f32> {
    return b[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && !TOKENS) fn b_four(row: u32, col: u32, width: u32) -> vec4<f32> {
    let i = vec4<u32>(row) + four(col, width - 1u);
    return vec4<f32>(b[i.x], b[i.y], b[i.z], b[i.w]);
}
@if(VEC && TOKENS) fn b_four(row: u32, col: u32, width: u32) -> vec4<u32> {
    return b[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && TOKENS) fn b_four(row: u32, col: u32, width: u32) -> vec4<u32> {
    let i = vec4<u32>(row) + four(col, width - 1u);
    return vec4<u32>(b[i.x], b[i.y], b[i.z], b[i.w]);
}

// Tokens 4 q .. 4 q + 3 of a, depths k0 .. k0 + 3: one column a token.
@if(DENSE) fn a_tokens(lane: u32, q: u32, k0: u32) -> mat4x4<f32> {
    let row = (four(4u * q, p.steps - 1u) * p.lanes + vec4<u32>(lane)) * p.k;
    return mat4x4<f32>(
        a_four(row.x, k0, p.k), a_four(row.y, k0, p.k), a_four(row.z, k0, p.k),
        a_four(row.w, k0, p.k),
    );
}
@if(!DENSE) fn a_tokens(lane: u32, q: u32, k0: u32) -> mat4x4<f32> {
    return spikes(a_four((q / 8u * p.lanes + lane) * p.k, k0, p.k), q);
}

// Four rows of b from the elements `row` on, columns col .. col + 3 of `width`.
@if(!TOKENS) fn b_rows(row: vec4<u32>, col: u32, width: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        b_four(row.x, col, width), b_four(row.y, col, width), b_four(row.z, col, width),
        b_four(row.w, col, width),
    );
}

// Depths k0 .. k0 + 3 of a lane's b, columns from `col`: b is [L, k, n], or [L, n, k] where
// `transposed`; as tokens, k of them with n channels, or n of them with k channels.
@if(!TOKENS) fn b_block(transposed: bool, lane: u32, k0: u32, col: u32) -> mat4x4<f32> {
    let start = vec4<u32>(lane * p.k * p.n);
    if transposed {
        return transpose(b_rows(start + p.k * four(col, p.n - 1u), k0, p.k));
    }
    return b_rows(start + p.n * four(k0, p.k - 1u), col, p.n);
}
@if(TOKENS) fn b_block(transposed: bool, lane: u32, k0: u32, col: u32) -> mat4x4<f32> {
    if transposed {
        return transpose(spikes(b_four((col / 32u * p.lanes + lane) * p.k, k0, p.k), col / 4u));
    }
    return spikes(b_four((k0 / 32u * p.lanes + lane) * p.n, col, p.n), k0 / 4u);
}

// Writes columns col .. col + 3 of the row of C that starts at element `row`.
@if(VEC) fn put(row: u32, col: u32, v: vec4<f32>) {
    if col < p.n { c[(row + col) / 4u] = v; }
}
@if(!VEC) fn put(row: u32, col: u32, v: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if col + j < p.n { c[row + col + j] = v[j]; }
    }
}
