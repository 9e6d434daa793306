// y[o, s, j] = finish( fold over k in piece s of term(x[o, k, j]) )
//   fold: sum, max or min (OP); term: x, x^2, (x - center[o, j])^2 or (x - center[o, k, j])^2 (TERM);
//   finish: divide by `divisor`, then the square root if ROOT.
//
// x: [outer, length, inner]; center: [outer, inner] or like x, not read by the first two terms;
// y: [outer, splits, inner]. Piece s is k = s * chunk .. (s + 1) * chunk, or, interleaved,
// k = s, s + splits, s + 2 splits, ... : then neighbours in a workgroup read neighbours in memory
// whatever `inner` is.
// One invocation an output, no barrier: four chains at a time, closed after 32 elements each, so
// that a sum of n terms has chains of 32 and n / 128.

import package::shared::deviation::{deviation, row_of};
import package::shared::finite::greatest_four;
import package::shared::index::{At, item_index};
import package::shared::second_look::{Finish, finished, may_look_again, second_look};

struct Params {
    outer: u32,
    length: u32,
    inner: u32,
    splits: u32,
    chunk: u32,
    interleaved: u32,
    divisor: f32,
}

override WG: u32 = 64u;
override OP: u32 = 0u;
override TERM: u32 = 0u;
override ROOT: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The term of element i, times `by`, in column c. A minimum is the maximum of the negated terms.
fn term(i: u32, c: u32, by: f32) -> f32 {
    var v = x[i] * by;
    if TERM == 1u {
        v *= v;
    } else if TERM == 2u {
        v = deviation(x[i], row_of(center[c], by));
        v *= v;
    } else if TERM == 3u {
        v = deviation(x[i], row_of(center[i], by));
        v *= v;
    }
    return select(v, -v, OP == 2u);
}

fn terms(i: u32, stride: u32, c: u32, by: f32) -> vec4<f32> {
    return vec4(
        term(i, c, by),
        term(i + stride, c, by),
        term(i + 2u * stride, c, by),
        term(i + 3u * stride, c, by),
    );
}

fn fold(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    if OP == 0u {
        return a + b;
    }
    return greatest_four(a, b);
}

// The fold of `count` elements from element `first` on, `stride` apart.
fn fold_piece(first: u32, stride: u32, count: u32, c: u32, by: f32) -> f32 {
    // Folding an element twice changes no extremum: those start from the first of the piece.
    var start = vec4<f32>(0.0);
    if OP != 0u {
        start = vec4(term(first, c, by));
    }
    var total = start;
    var i = first;
    var left = count;
    while left >= 4u {
        let quads = min(left / 4u, 32u);
        var chains = start;
        for (var q = 0u; q < quads; q++) {
            chains = fold(chains, terms(i, stride, c, by));
            i += 4u * stride;
        }
        total = fold(total, chains);
        left -= 4u * quads;
    }
    for (; left > 0u; left--) {
        total = fold(total, vec4(term(i, c, by), start.yzw));
        i += stride;
    }
    let pair = fold(total, total.zwxy);
    return fold(pair, pair.yxwz).x;
}

@compute @workgroup_size(WG)
fn reduce_columns(at: At) {
    let out = item_index(at, WG);
    if out >= p.outer * p.splits * p.inner {
        return;
    }
    let j = out % p.inner;
    let s = out / p.inner % p.splits;
    let o = out / p.inner / p.splits;
    var first = s * p.chunk;
    var step = 1u;
    var count = min(p.chunk, p.length - first);
    if p.interleaved == 1u {
        first = s;
        step = p.splits;
        count = (p.length - s + p.splits - 1u) / p.splits;
    }
    let start = (o * p.length + first) * p.inner + j;
    let column = o * p.inner + j;
    var total = fold_piece(start, step * p.inner, count, column, 1.0);
    let finish = Finish(p.divisor, ROOT == 1u, TERM != 0u);
    var by = 1.0;
    if OP == 0u && may_look_again(finish) {
        by = second_look(total, finish);
        if by != 1.0 {
            total = fold_piece(start, step * p.inner, count, column, by);
        }
    }
    y[out] = finished(select(total, -total, OP == 2u), by, finish);
}
