// The operands of a matrix product C = act(A B + bias), read in blocks of 4 x 4 and written in rows
// of 4.
//
// A block is a mat4x4 whose columns are the block's rows: the four rows of A as vectors along the
// depth k, the four rows of B as vectors along the columns n. Then `b * a` is the block of C, its
// columns being C's rows.
//
// Conditions: VEC, every inner extent is a multiple of 4 and elements are read four at a time (else
// one at a time, with column indices clamped: what lies outside is never stored); HALF, a and b are
// pairs of f16; HALF_OUT, c is (with VEC only); BITS, a holds packed spikes.

import package::shared::blocks::four;
import package::linalg::product::Params;

@if(VEC && !HALF && !BITS) @group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@if(!VEC && !HALF && !BITS) @group(0) @binding(0) var<storage, read> a: array<f32>;
@if(VEC && HALF) @group(0) @binding(0) var<storage, read> a: array<vec2<u32>>;
@if(!VEC && HALF) @group(0) @binding(0) var<storage, read> a: array<u32>;
@if(VEC && BITS) @group(0) @binding(0) var<storage, read> a: array<vec4<u32>>;
@if(!VEC && BITS) @group(0) @binding(0) var<storage, read> a: array<u32>;
@if(VEC && !HALF) @group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@if(!VEC && !HALF) @group(0) @binding(1) var<storage, read> b: array<f32>;
@if(VEC && HALF) @group(0) @binding(1) var<storage, read> b: array<vec2<u32>>;
@if(!VEC && HALF) @group(0) @binding(1) var<storage, read> b: array<u32>;
@if(VEC) @group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@if(!VEC) @group(0) @binding(2) var<storage, read> bias: array<f32>;
@if(VEC && !HALF_OUT) @group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;
@if(VEC && HALF_OUT) @group(0) @binding(3) var<storage, read_write> c: array<vec2<u32>>;
@if(!VEC) @group(0) @binding(3) var<storage, read_write> c: array<f32>;
@if(VEC) @group(0) @binding(4) var<storage, read_write> extra: array<vec4<f32>>;
@if(!VEC) @group(0) @binding(4) var<storage, read_write> extra: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Elements col .. col + 3 of the row of `width` elements that starts at element `row`.
@if(VEC && !HALF && !BITS) fn a_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    return a[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && !HALF && !BITS) fn a_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let last = width - 1u;
    return vec4<f32>(
        a[row + min(col, last)], a[row + min(col + 1u, last)],
        a[row + min(col + 2u, last)], a[row + min(col + 3u, last)],
    );
}
@if(VEC && HALF) fn a_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let w = a[(row + min(col, width - 4u)) / 4u];
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
@if(!VEC && HALF) fn a_at(i: u32) -> f32 {
    let pair = unpack2x16float(a[i / 2u]);
    return select(pair.x, pair.y, i % 2u == 1u);
}
@if(!VEC && HALF) fn a_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let last = width - 1u;
    return vec4<f32>(
        a_at(row + min(col, last)), a_at(row + min(col + 1u, last)),
        a_at(row + min(col + 2u, last)), a_at(row + min(col + 3u, last)),
    );
}

// Words col .. col + 3 of the row of `width` words of packed spikes that starts at word `row`.
@if(VEC && BITS) fn a_words(row: u32, col: u32, width: u32) -> vec4<u32> {
    return a[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && BITS) fn a_words(row: u32, col: u32, width: u32) -> vec4<u32> {
    let last = width - 1u;
    return vec4<u32>(
        a[row + min(col, last)], a[row + min(col + 1u, last)],
        a[row + min(col + 2u, last)], a[row + min(col + 3u, last)],
    );
}

@if(VEC && !HALF) fn b_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    return b[(row + min(col, width - 4u)) / 4u];
}
@if(!VEC && !HALF) fn b_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let last = width - 1u;
    return vec4<f32>(
        b[row + min(col, last)], b[row + min(col + 1u, last)],
        b[row + min(col + 2u, last)], b[row + min(col + 3u, last)],
    );
}
@if(VEC && HALF) fn b_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let w = b[(row + min(col, width - 4u)) / 4u];
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
@if(!VEC && HALF) fn b_at(i: u32) -> f32 {
    let pair = unpack2x16float(b[i / 2u]);
    return select(pair.x, pair.y, i % 2u == 1u);
}
@if(!VEC && HALF) fn b_row(row: u32, col: u32, width: u32) -> vec4<f32> {
    let last = width - 1u;
    return vec4<f32>(
        b_at(row + min(col, last)), b_at(row + min(col + 1u, last)),
        b_at(row + min(col + 2u, last)), b_at(row + min(col + 3u, last)),
    );
}

// Rows 4 g .. 4 g + 3 of A, depths k0 .. k0 + 3. A is [k, m] where `transposed`, else [m, k].
@if(!BITS) fn a_block(transposed: bool, start: u32, g: u32, k0: u32) -> mat4x4<f32> {
    if transposed {
        let i = start + p.m * four(k0, p.k - 1u);
        let r = 4u * g;
        return transpose(mat4x4<f32>(
            a_row(i.x, r, p.m), a_row(i.y, r, p.m), a_row(i.z, r, p.m), a_row(i.w, r, p.m),
        ));
    }
    let i = start + p.k * four(4u * g, p.m - 1u);
    return mat4x4<f32>(
        a_row(i.x, k0, p.k), a_row(i.y, k0, p.k), a_row(i.z, k0, p.k), a_row(i.w, k0, p.k),
    );
}

// The groups of four steps that T steps make.
fn quads() -> u32 {
    return (p.steps + 3u) / 4u;
}

// Four words of packed spikes [ceil(T / 32), lanes, width]: those of quad q, features col .. col + 3.
@if(BITS) fn quad_words(lane: u32, q: u32, col: u32, width: u32) -> vec4<u32> {
    return a_words((q / 8u * p.lanes + lane) * width, col, width);
}

// The block of B from rows `rows`, columns from `col`, of a matrix [k, n].
fn b_rows(start: u32, rows: vec4<u32>, col: u32) -> mat4x4<f32> {
    let i = start + p.n * rows;
    return mat4x4<f32>(
        b_row(i.x, col, p.n), b_row(i.y, col, p.n), b_row(i.z, col, p.n), b_row(i.w, col, p.n),
    );
}

// Depths k0 .. k0 + 3 of B, columns from `col`. B is [n, k] where `transposed`, else [k, n].
fn b_block(transposed: bool, start: u32, k0: u32, col: u32) -> mat4x4<f32> {
    if transposed {
        let i = start + p.k * four(col, p.n - 1u);
        return transpose(mat4x4<f32>(
            b_row(i.x, k0, p.k), b_row(i.y, k0, p.k), b_row(i.z, k0, p.k), b_row(i.w, k0, p.k),
        ));
    }
    return b_rows(start, four(k0, p.k - 1u), col);
}

@if(VEC) fn bias_row(col: u32) -> vec4<f32> {
    return bias[min(col, p.n - 4u) / 4u];
}
@if(!VEC) fn bias_row(col: u32) -> vec4<f32> {
    let i = four(col, p.n - 1u);
    return vec4<f32>(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
}

// Writes columns col .. col + 3 of the row of C that starts at element `row`.
@if(VEC && !HALF_OUT) fn put(row: u32, col: u32, v: vec4<f32>) {
    if col < p.n { c[(row + col) / 4u] = v; }
}
@if(VEC && HALF_OUT) fn put(row: u32, col: u32, v: vec4<f32>) {
    if col < p.n {
        c[(row + col) / 4u] = vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
    }
}
@if(!VEC) fn put(row: u32, col: u32, v: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if col + j < p.n { c[row + col + j] = v[j]; }
    }
}

// What stands at columns col .. col + 3 of the row of C that starts at element `row`.
@if(VEC && !HALF_OUT) fn c_row(row: u32, col: u32) -> vec4<f32> {
    return c[(row + min(col, p.n - 4u)) / 4u];
}
@if(VEC && HALF_OUT) fn c_row(row: u32, col: u32) -> vec4<f32> {
    let w = c[(row + min(col, p.n - 4u)) / 4u];
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
@if(!VEC) fn c_row(row: u32, col: u32) -> vec4<f32> {
    let i = row + four(col, p.n - 1u);
    return vec4<f32>(c[i.x], c[i.y], c[i.z], c[i.w]);
}

// Likewise to the second output.
@if(VEC) fn put_extra(row: u32, col: u32, v: vec4<f32>) {
    if col < p.n { extra[(row + col) / 4u] = v; }
}
@if(!VEC) fn put_extra(row: u32, col: u32, v: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        if col + j < p.n { extra[row + col + j] = v[j]; }
    }
}
