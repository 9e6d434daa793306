// s[t, n] = 1 with the probability probability[e mod period], e = t row + n, else 0, packed along t
//
// step: [1] the step counter; probability: [period]; s: [ceil(steps / 32), row] output. Element e is
// that of bernoulli_each.
// One invocation a word.

import package::shared::index::{At, item_index};
import package::shared::rng::{word_of, unit};

struct Params {
    steps: u32,
    row: u32,
    words: u32,
    key_0: u32,
    key_1: u32,
    period: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> probability: array<f32>;
@group(0) @binding(2) var<storage, read_write> s: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn bernoulli_each_bits(at: At) {
    let i = item_index(at, WG);
    if i >= p.words {
        return;
    }
    let first = i / p.row * 32u;
    let column = i % p.row;
    let used = min(p.steps - first, 32u);
    let key = vec2(p.key_0, p.key_1);
    let place = step[0];
    var bits = 0u;
    for (var k = 0u; k < used; k++) {
        let e = (first + k) * p.row + column;
        let word = word_of(key, place, e);
        bits |= select(0u, 1u << k, unit(word) < probability[e % p.period]);
    }
    s[i] = bits;
}
