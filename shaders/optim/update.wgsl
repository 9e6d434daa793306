// h = factor g, limited to +- sqrt(theta) v where theta is not 0; then the direction u:
//   no moment          u = h
//   one (FIRST)        m <- beta1 m + rest1 h;  u = m, or beta1 m + rest1 h of the new m (NESTEROV);
//                      sign(u) with SIGN
//   two (SECOND)       m <- beta1 m + rest1 h;  v <- sqrt(beta2 v^2 + rest2 h^2), the root of a mean
//                      square: so gradients may have any scale;  u = c1 m / (c2 v + eps)
//   three (SLOW)       n <- beta3 n + rest3 h as well;  u = (c1 m + mix n) / (c2 v + eps)
// and the step:
//   x <- x - eta decay x - eta gain f u     with eta = rate scale, and so on (`shared/step.wgsl`)
//   x <- shrink u                           with WRITE: x takes the direction, for what follows, from
//                                           item `first` on
//
// x: [items] read and written in place, with WRITE only written; g: [items]; numbers: those of the
// group, from `p.numbers` on (`shared/numbers.wgsl`): rate, c1, c2, f, mix, beta3, rest3, theta, eps,
// shrink; clip: root of the factor (of g with CLIPPED, else taken as 1), norm, whether this step is skipped,
// skipped steps; m, v, n: [items] in place.
// An item is one element, or four (condition VEC). With the condition MASK an element takes part
// only where a random word is below `p.threshold`; the others rest, their moments 0.
// One invocation an item.

import package::shared::finite::{keep_nan, keep_nan_four};
import package::shared::item::Item;
import package::shared::index::{At, item_index};
import package::shared::numbers::{RATE, CORRECT1, CORRECT2, FACTOR, MIX, BETA3, REST3, SPIKES, EPS, SHRINK, DRAW};
import package::shared::rng::word_of;
import package::shared::squares::{DOWN, LARGE, SMALL, UP};
import package::shared::step::{UpdateConstants, stepped};

struct Params {
    items: u32,
    mode: u32,
    numbers: u32,
    threshold: u32,
    key: vec2<u32>,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    decay: f32,
    scale: f32,
    gain: f32,
    low: f32,
    high: f32,
    first: u32,
}

const NESTEROV: u32 = 1u;
const SIGN: u32 = 2u;
const WRITE: u32 = 4u;
const CLIPPED: u32 = 8u;

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> x: array<Item>;
@group(0) @binding(1) var<storage, read> g: array<Item>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read> clip: array<f32>;
@if(FIRST) @group(0) @binding(4) var<storage, read_write> m: array<Item>;
@if(SECOND) @group(0) @binding(5) var<storage, read_write> v: array<Item>;
@if(SLOW) @group(0) @binding(6) var<storage, read_write> n: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

fn number(i: u32) -> f32 {
    return numbers[p.numbers + i];
}

fn on(flag: u32) -> bool {
    return (p.mode & flag) != 0u;
}

// 1 for an element that takes part.
@if(MASK && !VEC)
fn kept(i: u32) -> Item {
    return select(0.0, 1.0, word_of(p.key, u32(number(DRAW)), i) < p.threshold);
}

@if(MASK && VEC)
fn kept(i: u32) -> Item {
    let draw = u32(number(DRAW));
    var words: vec4<u32>;
    for (var k = 0u; k < 4u; k++) {
        words[k] = word_of(p.key, draw, 4u * i + k);
    }
    return select(vec4(0.0), vec4(1.0), words < vec4(p.threshold));
}

@if(!VEC)
fn keep_nans(x: Item, y: Item) -> Item {
    return keep_nan(x, y);
}

@if(VEC)
fn keep_nans(x: Item, y: Item) -> Item {
    return keep_nan_four(x, y);
}

@if(!FIRST)
fn direction(i: u32, h: Item) -> Item {
    return h;
}

// 0 for a subnormal momentum, which rounding would keep from ever getting there.
@if(FIRST && !SECOND)
fn normal(v: Item) -> Item {
    return select(v, Item(0.0), abs(v) < Item(1.1754944e-38));
}

@if(FIRST && !SECOND)
fn direction(i: u32, h: Item) -> Item {
    let first = normal(p.beta1 * m[i] + p.rest1 * h);
    m[i] = first;
    let u = select(first, p.beta1 * first + p.rest1 * h, on(NESTEROV));
    return select(u, keep_nans(u, sign(u)), on(SIGN));
}

// sqrt(beta2 v^2 + rest2 h^2), as a small change of v: no error of the root adds up over the steps.
@if(SECOND)
fn root_mean(v: Item, h: Item) -> Item {
    let size = max(v, abs(h));
    let scale = select(
        select(Item(1.0), Item(UP), size < Item(SMALL)), Item(DOWN), size > Item(LARGE),
    );
    let back = select(
        select(Item(1.0), Item(DOWN), size < Item(SMALL)), Item(UP), size > Item(LARGE),
    );
    let a = v * scale;
    let b = h * scale;
    let root = sqrt(p.beta2 * a * a + p.rest2 * b * b);
    // Zero where both are zero, not 0 / 0.
    let next = v + p.rest2 * (b - a) * (b + a) / max(a + root, Item(1e-30)) * back;
    // Infinite where either is, not the difference of the two.
    return keep_nans(v, keep_nans(h, select(next, size, size > Item(3.4028234e38))));
}

@if(SECOND)
fn direction(i: u32, gradient: Item) -> Item {
    var h = gradient;
    let before = v[i];
    let theta = number(SPIKES);
    if theta > 0.0 {
        let most = sqrt(theta) * before;
        h = keep_nans(h, clamp(h, -most, most));
    }
    var first = p.beta1 * m[i] + p.rest1 * h;
    var second = root_mean(before, h);
    // Selects, no products: of what rests nothing is left, be it infinite.
    @if(MASK) first = select(Item(0.0), first, kept(i) > Item(0.5));
    @if(MASK) second = select(Item(0.0), second, kept(i) > Item(0.5));
    m[i] = first;
    v[i] = second;
    var u = number(CORRECT1) * first;
    @if(SLOW) let slow = number(BETA3) * n[i] + number(REST3) * h;
    @if(SLOW) n[i] = slow;
    @if(SLOW) u = u + number(MIX) * slow;
    return u / (second * number(CORRECT2) + Item(number(EPS)));
}

@compute @workgroup_size(WG)
fn update(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    if clip[2] != 0.0 {
        if on(WRITE) {
            x[p.first + i] = Item(0.0);
        }
        return;
    }
    let factor = select(1.0, clip[0], on(CLIPPED));
    let u = direction(i, (g[i] * factor) * factor);
    if on(WRITE) {
        x[p.first + i] = number(SHRINK) * u;
        return;
    }
    let before = x[i];
    let constants = UpdateConstants(p.mode, p.decay, p.scale, p.gain, p.low, p.high);
    let after = stepped(before, u, number(RATE), number(FACTOR), constants);
    @if(!MASK) x[i] = after;
    @if(MASK) x[i] = select(before, after, kept(i) > Item(0.5));
}
