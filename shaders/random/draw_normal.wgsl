// y[e] = +-(base + slope fraction), standard normal, by a table of the quantile function
//
// A word is a sign and a tail probability of 31 bits; its leading zeros, the five bits after its
// first one and the twelve after those are octave, segment and fraction. slope has at most 11
// significant bits, so that its product with the fraction is exact and one rounding is left,
// whether or not the compiler fuses the two operations.
//
// step: [1] the step counter; table: [32 octaves, 32 segments] of (base, slope); y: [count] output.
// One invocation a block of two elements.

import package::shared::index::{At, item_index};
import package::shared::rng::threefry;

struct Params {
    count: u32,
    key_0: u32,
    key_1: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn normal_from(word: u32) -> f32 {
    let magnitude = word << 1u;
    let octave = min(countLeadingZeros(magnitude), 31u);
    // The bits after the first one, at the top.
    let rest = (magnitude << octave) << 1u;
    let line = table[octave * 32u + (rest >> 27u)];
    let value = line.x + line.y * f32((rest >> 15u) & 0xfffu);
    return select(value, -value, (word >> 31u) == 1u);
}

@compute @workgroup_size(WG)
fn draw_normal(at: At) {
    let i = item_index(at, WG);
    let first = 2u * i;
    if first >= p.count {
        return;
    }
    let block = threefry(vec2(p.key_0, p.key_1), vec2(i, step[0]));
    y[first] = normal_from(block.x);
    if first + 1u < p.count {
        y[first + 1u] = normal_from(block.y);
    }
}
