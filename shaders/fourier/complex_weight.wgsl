// The real matrix of a complex one: rows 2 i, 2 i + 1 and columns 2 j, 2 j + 1 hold ( wr  wi)
//                                                                                   (-wi  wr)
//
// w: [2, rows, columns], real parts, then imaginary; m: [2 rows, 2 columns] output, so that
// (xr, xi pairs) m = (x w) in pairs.
// One invocation an element of w.

import package::shared::index::{At, item_index};

struct Params {
    rows: u32,
    columns: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> m: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn complex_weight(at: At) {
    let i = item_index(at, WG);
    let count = p.rows * p.columns;
    if i >= count {
        return;
    }
    let re = w[i];
    let im = w[count + i];
    let row = i / p.columns;
    let upper = 4u * row * p.columns + 2u * (i - row * p.columns);
    let lower = upper + 2u * p.columns;
    m[upper] = re;
    m[upper + 1u] = im;
    m[lower] = -im;
    m[lower + 1u] = re;
}
