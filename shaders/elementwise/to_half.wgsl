// y = f16(x), two to a word
//
// x: [count]; y: [ceil(count / 2)] output.
// One invocation a word.

import package::shared::index::{At, item_index};
import package::shared::half::half_from;

struct Params {
    count: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn to_half(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if first >= p.count {
        return;
    }
    var word = half_from(x[first]);
    if first + 1u < p.count {
        word |= half_from(x[first + 1u]) << 16u;
    }
    y[i] = word;
}
