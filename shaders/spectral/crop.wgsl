// y[e] = the upper left part of x[first + e]
//
// x: [.., m, n]; y: [entries, rows, cols].
// One invocation an element of y.

import package::shared::index::{At, item_index};

struct Params {
    entries: u32,
    rows: u32,
    cols: u32,
    m: u32,
    n: u32,
    first: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn crop(at: At) {
    let i = item_index(at, WG);
    if i < p.entries * p.rows * p.cols {
        let e = p.first + i / (p.rows * p.cols);
        let row = i / p.cols % p.rows;
        let col = i % p.cols;
        y[i] = x[(e * p.m + row) * p.n + col];
    }
}
