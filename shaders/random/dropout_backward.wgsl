// gx[e] = 0 where dropout dropped, else g[e] scale
//
// used: [1] the step of the draw; g: [count]; gx: [count] output.
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

@group(0) @binding(0) var<storage, read> used: array<u32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn dropout_backward(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if first >= p.count {
        return;
    }
    let block = threefry(vec2(p.key_0, p.key_1), vec2(i, used[0]));
    gx[first] = select(g[first] * p.scale, 0.0, block.x < p.threshold);
    if first + 1u < p.count {
        gx[first + 1u] = select(g[first + 1u] * p.scale, 0.0, block.y < p.threshold);
    }
}
