// y[e] = 1 with the probability threshold / 2^32, else 0; always 1 if `certain`
//
// step: [1] the step counter; y: [count] output.
// One invocation a block of two elements.

import package::shared::index::{At, item_index};
import package::shared::rng::threefry;

struct Params {
    count: u32,
    key_0: u32,
    key_1: u32,
    threshold: u32,
    certain: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn draw(word: u32) -> f32 {
    return select(0.0, 1.0, word < p.threshold || p.certain == 1u);
}

@compute @workgroup_size(WG)
fn bernoulli(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if first >= p.count {
        return;
    }
    let block = threefry(vec2(p.key_0, p.key_1), vec2(i, step[0]));
    y[first] = draw(block.x);
    if first + 1u < p.count {
        y[first + 1u] = draw(block.y);
    }
}
