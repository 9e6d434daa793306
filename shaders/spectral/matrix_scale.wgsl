// For each matrix: c = radius (times factor[0]),  s = the power of two that brings max |x| to [1, 2),
// stats = (s, ||s x||_F, s c, c),  flags = 1 if an element is not finite, else 0
//
// parts: [entries, chunks] of `norm_parts`; factor: one float, read if DYNAMIC; stats: [entries]
// vectors of four; flags: [entries].
// s c is at most 2^40, and c what it then is over s: beside such a radius nothing is clipped. With UNIT
// the last of the stats is 1 / (margin ||s x||_F + s eps) instead, which brings s x to the norm 1 / margin
// unless eps counts beside ||x||; 0 for a zero matrix. Two factors, since their product may leave the
// range of f32. s is 0 for a matrix that is not finite.
// One invocation a matrix.

import package::shared::index::{At, item_index};
import package::shared::magnitude::to_one;

struct Params {
    entries: u32,
    chunks: u32,
    radius: f32,
    margin: f32,
    eps: f32,
}

// Beside a radius that is so much larger nothing is clipped.
const MOST: f32 = 1099511627776.0;

override WG: u32 = 64u;
override UNIT: bool = false;
override DYNAMIC: bool = false;

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> flags: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn matrix_scale(at: At) {
    let e = item_index(at, WG);
    if e >= p.entries {
        return;
    }
    var largest = 0.0;
    var fault = 0.0;
    for (var k = 0u; k < p.chunks; k++) {
        let part = parts[e * p.chunks + k];
        largest = max(largest, part.x);
        fault = max(fault, part.z);
    }
    var c = p.radius;
    if DYNAMIC {
        c *= factor[0];
    }
    let s = to_one(largest);
    var sum = 0.0;
    for (var k = 0u; k < p.chunks; k++) {
        let part = parts[e * p.chunks + k];
        // Both are powers of two; a chunk whose ratio underflows adds nothing that counts.
        let ratio = s / to_one(part.x);
        sum += part.y * ratio * ratio;
    }
    let norm = sqrt(sum);
    // One of the two products does not leave the range.
    let wide = select(s * c > MOST, c > MOST / s, s > 1.0);
    let radius = select(s * c, MOST, wide);
    var last = select(c, MOST / s, wide);
    if UNIT {
        last = 0.0;
        if norm > 0.0 {
            last = 1.0 / (p.margin * norm + s * p.eps);
        }
    }
    flags[e] = fault;
    stats[e] = vec4<f32>(select(s, 0.0, fault != 0.0), norm, radius, last);
}
