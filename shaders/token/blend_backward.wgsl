// ga[i] = al g[i], gb[i] = (1 - al) g[i]        al = sigmoid(raw)
// part[s] = al (1 - al) sum over the cells i of piece s of g[i] . (a[i] - b[i])
//
// a, b, g, ga, gb: [cells]; raw: [1]; part: [parts]. A cell is one element, or four (condition
// `wide`). Piece s is cells s, s + parts, s + 2 parts, ... if `interleaved` is 1, else `span`
// neighbours.
// One invocation a piece.

import package::shared::curves::{sigmoid, sigmoid_slope};
import package::shared::cells::Cell;
import package::shared::index::{At, item_index};

struct Params {
    cells: u32,
    parts: u32,
    span: u32,
    interleaved: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> a: array<Cell>;
@group(0) @binding(1) var<storage, read> b: array<Cell>;
@group(0) @binding(2) var<storage, read> raw: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<Cell>;
@group(0) @binding(4) var<storage, read_write> ga: array<Cell>;
@group(0) @binding(5) var<storage, read_write> gb: array<Cell>;
@group(0) @binding(6) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@if(wide) fn dot_of(x: Cell, y: Cell) -> f32 {
    return dot(x, y);
}
@if(!wide) fn dot_of(x: Cell, y: Cell) -> f32 {
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
    var end = min(i + p.span, p.cells);
    var step = 1u;
    if p.interleaved == 1u {
        i = piece;
        end = p.cells;
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
