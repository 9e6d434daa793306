// gs[t, n] = 2 g (rate[n] - wanted) / (steps columns)
//
// rate: [columns]; g: [1]; gs: [steps, columns].
// One invocation SPAN steps of a column: the column is divided out once for all of them.

import package::shared::deviation::difference_times;
import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    columns: u32,
    wanted: f32,
}

override WG: u32 = 64u;
override SPAN: u32 = 16u;

@group(0) @binding(0) var<storage, read> rate: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> gs: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn rate_mse_backward(at: At) {
    let i = item_index(at, WG);
    let first = i / p.columns * SPAN;
    if first >= p.steps {
        return;
    }
    let n = i % p.columns;
    let slope = 2.0 * difference_times(rate[n], p.wanted, g[0] / f32(p.columns) / f32(p.steps));
    for (var t = first; t < min(first + SPAN, p.steps); t++) {
        gs[t * p.columns + n] = slope;
    }
}
