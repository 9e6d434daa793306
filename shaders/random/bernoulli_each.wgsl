// y[e] = 1 with the probability probability[e mod period], else 0
//
// step: [1] the step counter; probability: [period]; y: [count] output.
// One invocation a block of two elements.

import package::shared::index::{At, item_index};
import package::shared::rng::{threefry, unit};

struct Params {
    count: u32,
    key_0: u32,
    key_1: u32,
    period: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> probability: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn bernoulli_each(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if first >= p.count {
        return;
    }
    let block = threefry(vec2(p.key_0, p.key_1), vec2(i, step[0]));
    y[first] = select(0.0, 1.0, unit(block.x) < probability[first % p.period]);
    if first + 1u < p.count {
        y[first + 1u] = select(0.0, 1.0, unit(block.y) < probability[(first + 1u) % p.period]);
    }
}
