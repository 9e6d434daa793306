// From the gradients of the memory that the chunks of a WKV scan leave at their starts to those they
// begin with at their ends, in place, from the last chunk to the first:
//
//     g[chunks-1] = 0,   g[i-1] = e^(chunk w' + o[i] - o[i+1]) g[i] + left[i]
//
// o[i] being the exponent of the memory before chunk i: gp and gq are those of e^-o gp and e^-o gq.
//
// saved: as in wkv. carry: [2, chunks, columns], left in, g out.
// One invocation a column.

import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};
import package::scan::walk::Share;
import package::scan::memory::EVERY;

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> saved: array<f32>;
@group(0) @binding(1) var<storage, read_write> carry: array<f32>;
@group(1) @binding(0) var<uniform> p: Share;

// The exponent before chunk i.
fn exponent_at(i: u32, c: u32) -> f32 {
    return saved[(i * p.chunk / EVERY * 3u + 2u) * p.columns + c];
}

@compute @workgroup_size(WG)
fn wkv_carry_backward(at: At) {
    let c = item_index(at, WG);
    if c >= p.columns {
        return;
    }
    let items = p.columns * p.chunks;
    let decay = saved[(p.steps + EVERY - 1u) / EVERY * 3u * p.columns + c] * f32(p.chunk);
    var g = vec2(0.0);
    var after = 0.0;
    for (var i = p.chunks; i > 0u; i--) {
        let start = (i - 1u) * p.columns + c;
        let left = vec2(carry[start], carry[items + start]);
        carry[start] = g.x;
        carry[items + start] = g.y;
        let before = exponent_at(i - 1u, c);
        // Nothing comes from beyond the last chunk.
        let ahead = decay + before - after;
        let through = select(0.0, keep_nan(ahead, exp(min(ahead, 0.0))), i < p.chunks);
        g = through * g + left;
        after = before;
    }
}
