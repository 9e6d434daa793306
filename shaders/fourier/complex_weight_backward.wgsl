// gwr = g00 + g11, gwi = g01 - g10 of every block of complex_weight
//
// g: [2 rows, 2 columns]; gw: [2, rows, columns] output.
// One invocation an element of w.

import package::shared::index::{At, item_index};

struct Params {
    rows: u32,
    columns: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> gw: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn complex_weight_backward(at: At) {
    let i = item_index(at, WG);
    let count = p.rows * p.columns;
    if i >= count {
        return;
    }
    let row = i / p.columns;
    let upper = 4u * row * p.columns + 2u * (i - row * p.columns);
    let lower = upper + 2u * p.columns;
    gw[i] = g[upper] + g[lower + 1u];
    gw[count + i] = g[upper + 1u] - g[lower];
}
