// y[e] = 0 with the probability threshold / 2^32, else x[e] scale
//
// step: [1] the step counter; x: [count]; y: [count] output; used: [1] output, the step of this
// draw, from which the backward pass makes the same mask again.
// One invocation a block of two elements.

import package::shared::index::{At, item_index};
import package::shared::rng::threefry;

struct Params {
    count: u32,
    key_0: u32,
    key_1: u32,
    threshold: u32,
    scale: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> used: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn dropout(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if i == 0u {
        used[0] = step[0];
    }
    if first >= p.count {
        return;
    }
    let block = threefry(vec2(p.key_0, p.key_1), vec2(i, step[0]));
    y[first] = select(x[first] * p.scale, 0.0, block.x < p.threshold);
    if first + 1u < p.count {
        y[first + 1u] = select(x[first + 1u] * p.scale, 0.0, block.y < p.threshold);
    }
}
