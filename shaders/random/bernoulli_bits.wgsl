// s[t, n] = 1 with the probability threshold / 2^32, else 0, packed along t; always 1 if `certain`
//
// step: [1] the step counter; s: [ceil(steps / 32), row] output. Element e = t row + n is that of
// bernoulli.
// One invocation a word.

import package::shared::index::{At, item_index};
import package::shared::rng::word_of;

struct Params {
    steps: u32,
    row: u32,
    words: u32,
    key_0: u32,
    key_1: u32,
    threshold: u32,
    certain: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read_write> s: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn bernoulli_bits(at: At) {
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
        bits |= select(0u, 1u << k, word < p.threshold || p.certain == 1u);
    }
    s[i] = bits;
}
