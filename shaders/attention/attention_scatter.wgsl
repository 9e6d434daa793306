// Compact rows [B, H, S, 4 quads] to rows of y [S, B, H d]; silent rows become zero:
//
//     y[position of r] = turned back(x[r] + sum over segments of x[part of r])  (scaled)
//
// order: rows (attention/gated.wgsl); table: (cos, sin) of [S, d/2] angles, not read unless TURN; x: compact
// rows of the queries, or of the keys if KEYS, there followed by the parts [segments, B, H, anchors] of
// the anchors' sums; y: output.
// One invocation a vector of 4 channels, or (WHOLE) a row.

import package::attention::gated::{
    p, order, keys_of, queries_of, open_before, open_count, position_of,
};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;
override WHOLE: bool = false;
override KEYS: bool = false;
override TURN: bool = false;
override SCALED: bool = false;

@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Channel c of compact row r of head bh, with its parts.
fn total(bh: u32, r: u32, c: u32, is_anchor: bool) -> f32 {
    let heads = p.batch * p.heads;
    var sum = x[(bh * p.steps + r) * p.quads * 4u + c];
    if is_anchor {
        for (var segment = 0u; segment < p.segments; segment++) {
            let row = heads * p.steps + (segment * heads + bh) * p.anchors + r;
            sum += x[row * p.quads * 4u + c];
        }
    }
    return sum;
}

fn channel(bh: u32, r: u32, position: u32, c: u32, is_anchor: bool) -> f32 {
    let sum = total(bh, r, c, is_anchor);
    if !TURN {
        return sum;
    }
    let turn = table[position * p.half + c % p.half];
    if c < p.half {
        return sum * turn.x + total(bh, r, c + p.half, is_anchor) * turn.y;
    }
    return sum * turn.x - total(bh, r, c - p.half, is_anchor) * turn.y;
}

@compute @workgroup_size(WG)
fn attention_scatter(at: At) {
    let item = item_index(at, WG);
    let parts = select(p.quads, 1u, WHOLE);
    let r = item / parts % p.steps;
    let bh = item / parts / p.steps;
    if bh >= p.batch * p.heads {
        return;
    }
    var start = queries_of(bh);
    if KEYS {
        start = keys_of(bh);
    }
    let s = position_of(start, r);
    let is_open = r < open_count(start);
    let is_anchor = KEYS && r < open_before(start, p.anchors);
    let row = (s * p.batch * p.heads + bh) * p.width;
    let factor = select(1.0, p.scale, SCALED);
    let first = item % parts * 4u;
    let end = select(min(first + 4u, p.width), p.width, WHOLE);
    for (var c = first; c < end; c++) {
        var sum = 0.0;
        if is_open {
            sum = factor * channel(bh, r, s, c, is_anchor);
        }
        y[row + c] = sum;
    }
}
