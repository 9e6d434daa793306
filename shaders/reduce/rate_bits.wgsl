// y[n] = (number of spikes of column n) / divisor
//
// x: [ceil(steps / 32), columns] packed spikes, tail bits zero; y: [columns].
// One invocation a column.

import package::shared::index::{At, item_index};

struct Params {
    steps: u32,
    columns: u32,
    divisor: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn rate_bits(at: At) {
    let n = item_index(at, WG);
    if n >= p.columns {
        return;
    }
    var count = 0u;
    for (var w = 0u; w < (p.steps + 31u) / 32u; w++) {
        count += countOneBits(x[w * p.columns + n]);
    }
    y[n] = f32(count) / p.divisor;
}
