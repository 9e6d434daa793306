// y[i] = a[i] op b[i]
//
// a, b: [cells]; y: [cells] output. A cell is one element, or four (condition `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;
import package::elementwise::binary::combine;

struct Params {
    cells: u32,
}

override WG: u32 = 256u;
override OP: u32 = 0u;

@group(0) @binding(0) var<storage, read> a: array<Cell>;
@group(0) @binding(1) var<storage, read> b: array<Cell>;
@group(0) @binding(2) var<storage, read_write> y: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn binary(at: At) {
    let i = item_index(at, WG);
    if i >= p.cells {
        return;
    }
    let left = a[i];
    let right = b[i];
    @if(!wide) {
        y[i] = combine(OP, left, right);
    }
    @if(wide) {
        y[i] = vec4(
            combine(OP, left.x, right.x), combine(OP, left.y, right.y),
            combine(OP, left.z, right.z), combine(OP, left.w, right.w),
        );
    }
}
