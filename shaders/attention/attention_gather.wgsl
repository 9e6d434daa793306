// Open rows of q, k, v [S, B, H d] to compact rows [B, H, S, 4 quads]; q and k turned by their position
// (rotary embedding, channel c paired with c + d/2), q scaled, channels from d on zero:
//
//     y[c] = x[c] cos - x[c + d/2] sin,   y[c + d/2] = x[c + d/2] cos + x[c] sin
//
// order: rows (attention/gated.wgsl); table: (cos, sin) of [S, d/2] angles, not read where half = 0;
// q, k, v: inputs; q_rows, k_rows, v_rows: outputs.
// One invocation a vector of 4 channels of one of the three, or (WHOLE) a row, where dividing to find
// one's place costs more than a row does. Silent rows are not read.

import package::attention::gated::{p, order, keys_of, queries_of, open_count, position_of};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;
override WHOLE: bool = false;

@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<storage, read_write> q_rows: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> k_rows: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v_rows: array<vec4<f32>>;

fn element(which: u32, i: u32) -> f32 {
    if which == 0u {
        return q[i];
    } else if which == 1u {
        return k[i];
    }
    return v[i];
}

// Channel c of the row that starts at element `row` and stands at `position`.
fn channel(which: u32, row: u32, position: u32, c: u32) -> f32 {
    if c >= p.width {
        return 0.0;
    }
    let x = element(which, row + c);
    if which == 2u || p.half == 0u {
        return x;
    }
    let turn = table[position * p.half + c % p.half];
    if c < p.half {
        return x * turn.x - element(which, row + c + p.half) * turn.y;
    }
    return x * turn.x + element(which, row + c - p.half) * turn.y;
}

@compute @workgroup_size(WG)
fn attention_gather(at: At) {
    let item = item_index(at, WG);
    let parts = select(p.quads, 1u, WHOLE);
    let size = p.batch * p.heads * p.steps * parts;
    let which = item / size;
    if which > 2u {
        return;
    }
    let part = item % size;
    let r = part / parts % p.steps;
    let bh = part / parts / p.steps;
    var start = keys_of(bh);
    if which == 0u {
        start = queries_of(bh);
    }
    if r >= open_count(start) {
        return;
    }
    let s = position_of(start, r);
    let row = (s * p.batch * p.heads + bh) * p.width;
    let first = part % parts;
    let end = select(first + 1u, p.quads, WHOLE);
    for (var quad = first; quad < end; quad++) {
        let c = 4u * quad;
        let y = vec4<f32>(
            channel(which, row, s, c), channel(which, row, s, c + 1u),
            channel(which, row, s, c + 2u), channel(which, row, s, c + 3u),
        );
        let here = (bh * p.steps + r) * p.quads + quad;
        if which == 0u {
            q_rows[here] = y * p.scale;
        } else if which == 1u {
            k_rows[here] = y;
        } else {
            v_rows[here] = y;
        }
    }
}
