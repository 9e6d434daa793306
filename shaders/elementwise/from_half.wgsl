// y = f32(x), from two f16 to a word
//
// x: [ceil(count / 2)]; y: [count] output.
// One invocation an element.

import package::shared::index::{At, item_index};
import package::shared::half::half_to;

struct Params {
    count: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn from_half(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        y[i] = half_to(x[i / 2u] >> (16u * (i % 2u)));
    }
}
