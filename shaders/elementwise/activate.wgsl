// y[i] = activation(x[i])
//
// x: [cells]; y: [cells] output. A cell is one element, or four (condition `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;
import package::elementwise::activation::activate as activation_of;

struct Params {
    cells: u32,
    slope: f32,
}

override WG: u32 = 256u;
override KIND: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<Cell>;
@group(0) @binding(1) var<storage, read_write> y: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

fn apply(x: f32) -> f32 {
    return activation_of(KIND, p.slope, x);
}

@compute @workgroup_size(WG)
fn activate(at: At) {
    let i = item_index(at, WG);
    if i >= p.cells {
        return;
    }
    let v = x[i];
    @if(!wide) {
        y[i] = apply(v);
    }
    @if(wide) {
        y[i] = vec4(apply(v.x), apply(v.y), apply(v.z), apply(v.w));
    }
}
