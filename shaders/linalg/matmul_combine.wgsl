// C = act(sum_chunk parts[chunk] + bias)                    the second launch of a split product
//
// parts: [chunks, count]; bias: [n]; sums: [chunks, n] (if SUMS); c: [count] output, added to if ADD; extra: [count]
// before the activation if PRE, the sum of `sums` over chunks, [n], if SUMS.
// One invocation an element of C (the last n: an element of the column sums). Chunks are added in
// order: the outcome does not depend on the schedule.

import package::elementwise::activation::activate;
import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    n: u32,
    chunks: u32,
    has_bias: u32,
    slope: f32,
}

override WG: u32 = 64u;
override ACT: u32 = 0u;
override PRE: bool = false;
override SUMS: bool = false;
override ADD: bool = false;

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> extra: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn matmul_combine(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        var sum = 0.0;
        for (var chunk = 0u; chunk < p.chunks; chunk++) {
            sum += parts[chunk * p.count + i];
        }
        if p.has_bias != 0u {
            sum += bias[i % p.n];
        }
        if PRE {
            extra[i] = sum;
        }
        sum = activate(ACT, p.slope, sum);
        if ADD {
            sum += c[i];
        }
        c[i] = sum;
    }
    if SUMS && i >= p.count && i - p.count < p.n {
        var sum = 0.0;
        for (var chunk = 0u; chunk < p.chunks; chunk++) {
            sum += sums[chunk * p.n + i - p.count];
        }
        extra[i - p.count] = sum;
    }
}
