// ga[i] = al g[i], gb[i] = (1 - al) g[i]        al = sigmoid(raw)
// part[s] = al (1 - al) sum over the items i of piece s of g[i] . (a[i] - b[i])
//
// a, b, g, ga, gb: [items]; raw: [1]; part: [parts]. An item is one element, or four (condition
// VEC). Piece s is items s, s + parts, s + 2 parts, ... if `interleaved` is 1, else `span`
// neighbours.
// One invocation a piece.

import package::shared::curves::{sigmoid, sigmoid_slope};
import package::shared::item::Item;
import package::shared::index::{At, item_index};

struct Params {
    items: u32,
    parts: u32,
    span: u32,
    interleaved: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> a: array<Item>;
@group(0) @binding(1) var<storage, read> b: array<Item>;
@group(0) @binding(2) var<storage, read> raw: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<Item>;
@group(0) @binding(4) var<storage, read_write> ga: array<Item>;
@group(0) @binding(5) var<storage, read_write> gb: array<Item>;
@group(0) @binding(6) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(VEC) fn dot_of(x: Item, y: Item) -> f32 {
    return dot(x, y);
}
@if(!VEC) fn dot_of(x: Item, y: Item) -> f32 {
    return x * y;
}

@compute @workgroup_size(WG)
fn blend_backward(at: At) {
    let piece = item_index(at, WG);
    if piece >= p.parts {
        return;
    }
    let al = sigmoid(raw[0]);
    let rest = sigmoid(-raw[0]);
    var i = piece * p.span;
    var end = min(i + p.span, p.items);
    var step = 1u;
    if p.interleaved == 1u {
        i = piece;
        end = p.items;
        step = p.parts;
    }
    var sum = 0.0;
    for (; i < end; i += step) {
        let gradient = g[i];
        ga[i] = al * gradient;
        gb[i] = rest * gradient;
        sum += dot_of(gradient, a[i] - b[i]);
    }
    part[piece] = sigmoid_slope(raw[0]) * sum;
}
