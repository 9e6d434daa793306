// gx[i] = g[i] activation'(x[i]); what is saved is the input
//
// saved, g: [cells]; gx: [cells] output. A cell is one element, or four (condition `wide`).
// One invocation a cell.

import package::shared::index::{At, item_index};
import package::shared::cells::Cell;
import package::elementwise::activation::activate_derivative;

struct Params {
    cells: u32,
    slope: f32,
}

override WG: u32 = 256u;
override KIND: u32 = 0u;

@group(0) @binding(0) var<storage, read> saved: array<Cell>;
@group(0) @binding(1) var<storage, read> g: array<Cell>;
@group(0) @binding(2) var<storage, read_write> gx: array<Cell>;
@group(1) @binding(0) var<uniform> p: Params;

fn slope(saved: f32) -> f32 {
    return activate_derivative(KIND, p.slope, saved);
}

@compute @workgroup_size(WG)
fn activate_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.cells {
        return;
    }
    let v = saved[i];
    @if(!wide) {
        gx[i] = g[i] * slope(v);
    }
    @if(wide) {
        gx[i] = g[i] * vec4(slope(v.x), slope(v.y), slope(v.z), slope(v.w));
    }
}
