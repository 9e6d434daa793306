// sum[i] += x[i]
//
// sum: [cells] read and written in place; x: [cells]. A cell is one element, or four (condition
// `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;

struct Params {
    cells: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read_write> sum: array<Cell>;
@group(0) @binding(1) var<storage, read> x: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn accumulate(at: At) {
    let i = item_index(at, WG);
    if i < p.cells {
        sum[i] += x[i];
    }
}
