// y[i, c] = table[tokens[i], c], 0 for a token outside the vocabulary
//
// table: [vocabulary, row] cells; tokens: [count / row]; y: [count] cells. A cell is one element, or
// four (condition `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;

struct Params {
    cells: u32,
    row: u32,
    vocabulary: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> table: array<Cell>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn embedding(at: At) {
    let i = item_index(at, WG);
    if i >= p.cells {
        return;
    }
    let token = tokens[i / p.row];
    if token < p.vocabulary {
        y[i] = table[token * p.row + i % p.row];
    } else {
        y[i] = Cell();
    }
}
