// y[i] = al a[i] + (1 - al) b[i]        al = sigmoid(raw)
//
// a, b, y: [cells]; raw: [1]. A cell is one element, or four (condition `wide`).
// One invocation a cell.

import package::shared::curves::sigmoid;
import package::shared::cells::Cell;
import package::shared::index::{At, item_index};

struct Params {
    cells: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> a: array<Cell>;
@group(0) @binding(1) var<storage, read> b: array<Cell>;
@group(0) @binding(2) var<storage, read> raw: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn blend(at: At) {
    let i = item_index(at, WG);
    if i < p.cells {
        y[i] = sigmoid(raw[0]) * a[i] + sigmoid(-raw[0]) * b[i];
    }
}
