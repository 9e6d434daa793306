// wide[first + e] = s x[e], lying on its long side, padded with zeros
//
// x: [entries, rows, cols]; stats: [.., 4] of `matrix_scale`, of which the first is s, and the last
// another factor (UNIT); wide:
// [.., m, n / 4] vectors of four, f32 or f16 (HALF_OUT), where m and n are the smaller and the larger
// extent, rounded up to multiples of 4. TALL: x has more rows than columns and is transposed.
// One invocation four neighbours of `wide`. Where s is 0, zeros are written whatever x holds.

import package::shared::index::{At, item_index};
import package::spectral::quad::{Outcome, stored};

struct Params {
    entries: u32,
    rows: u32,
    cols: u32,
    m: u32,
    n: u32,
    first: u32,
}

override WG: u32 = 64u;
override TALL: bool = false;
override UNIT: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> wide: array<Outcome>;
@group(1) @binding(0) var<uniform> p: Params;

// Element (row, col) of the wide matrix.
fn element(base: u32, row: u32, col: u32) -> f32 {
    let r = select(row, col, TALL);
    let q = select(col, row, TALL);
    let inside = r < p.rows && q < p.cols;
    return select(0.0, x[base + select(0u, r * p.cols + q, inside)], inside);
}

@compute @workgroup_size(WG)
fn to_wide(at: At) {
    let i = item_index(at, WG);
    let quads = p.n / 4u;
    if i >= p.entries * p.m * quads {
        return;
    }
    // Neighbouring invocations read neighbours: along a row of `wide`, or down a column if TALL.
    let e = i / (p.m * quads);
    let within = i % (p.m * quads);
    let row = select(within / quads, within % p.m, TALL);
    let quad = select(within % quads, within / p.m, TALL);
    let base = e * p.rows * p.cols;
    let enter = stats[p.first + e].x;
    let rest = select(1.0, stats[p.first + e].w, UNIT);
    let v = vec4<f32>(
        element(base, row, 4u * quad), element(base, row, 4u * quad + 1u),
        element(base, row, 4u * quad + 2u), element(base, row, 4u * quad + 3u),
    );
    wide[((p.first + e) * p.m + row) * quads + quad] =
        stored(select((enter * v) * rest, vec4<f32>(0.0), enter == 0.0));
}
