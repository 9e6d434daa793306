// From the memories that the chunks of a WKV scan leave to those they start from, in place:
//
//     m[0] = initial,   m[i] = (m[i-1], decayed by a chunk) + left[i-1]
//
// where the sum of two memories is that of what they stand for, e^o p and e^o q.
//
// initial: [3, columns], read if STATE (else nothing). w: [channels]. carry: [chunks, 3, columns],
// left in, m out.
// One invocation a column.

import package::shared::finite::greatest;
import package::shared::index::{At, item_index};
import package::scan::walk::Share;
import package::scan::memory::{NOTHING, decay_of, weights};

override WG: u32 = 64u;
override STATE: bool = false;

@group(0) @binding(0) var<storage, read> initial: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> carry: array<f32>;
@group(1) @binding(0) var<uniform> p: Share;

@compute @workgroup_size(WG)
fn wkv_carry(at: At) {
    let c = item_index(at, WG);
    if c >= p.columns {
        return;
    }
    let row = p.columns;
    let decay = decay_of(w[c % p.channels]) * f32(p.chunk);
    var m = vec3(NOTHING.p, NOTHING.q, NOTHING.top);
    if STATE {
        m = vec3(initial[c], initial[c + row], initial[c + 2u * row]);
    }
    for (var i = 0u; i < p.chunks; i++) {
        let first = i * 3u * row + c;
        let left = vec3(carry[first], carry[first + row], carry[first + 2u * row]);
        carry[first] = m.x;
        carry[first + row] = m.y;
        carry[first + 2u * row] = m.z;
        // Nothing decays by nothing, be the decay a NaN.
        let top = m.z + select(decay, 0.0, m.y == 0.0);
        let sum = weights(top - left.z);
        m = vec3(sum.past * m.xy + sum.now * left.xy, greatest(top, left.z));
    }
}
