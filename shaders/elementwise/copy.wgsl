// y[i] = x[i]: the bandwidth reference of the benchmarks.
//
// x: [cells]; y: [cells] output. A cell is one element, or four (condition `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;

struct Params {
    cells: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<Cell>;
@group(0) @binding(1) var<storage, read_write> y: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn copy(at: At) {
    let i = item_index(at, WG);
    if i < p.cells {
        y[i] = x[i];
    }
}
