// For each matrix: c = radius (times factor[0]),  s = the power of two that brings max(max |x|, c) to
// [1, 2),  facts = (enter, ||s x||_F, s c, c),  flags = 1 if an element is not finite, else 0
//
// parts: [entries, chunks] of `norm_parts`; factor: one float, read if DYNAMIC; facts: [entries]
// vectors of four; flags: [entries].
// `enter` is what the matrix is multiplied by before anything is computed from it: s (MODE 0), or
// s / (margin ||s x||_F + eps) (MODE 1), or s = 1 / c (MODE 2), or s without regard to c, and s c
// at most 2^40 (MODE 3: what is stored as f16); 0 for a matrix that is not finite.
// One invocation a matrix.

import package::shared::index::item_index;
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
override MODE: u32 = 0u;
override DYNAMIC: bool = false;

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> facts: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> flags: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn matrix_scale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let e = item_index(group, groups, local, WG);
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
    var s = to_one(max(largest, c));
    if MODE == 2u {
        s = 1.0 / c;
    }
    if MODE == 3u {
        s = to_one(largest);
    }
    var sum = 0.0;
    for (var k = 0u; k < p.chunks; k++) {
        let part = parts[e * p.chunks + k];
        // Both are powers of two; a chunk whose ratio underflows adds nothing that counts.
        let ratio = s / to_one(part.x);
        sum += part.y * ratio * ratio;
    }
    let norm = sqrt(sum);
    var enter = s;
    if MODE == 1u {
        // Of a zero matrix nothing is left to scale, and s over a small number may leave the range.
        enter = select(1.0, s / (p.margin * norm + p.eps), norm > 0.0);
    }
    var radius = s * c;
    // One of the two does not leave the range.
    if MODE == 3u && select(s * c > MOST, c > MOST / s, s > 1.0) {
        radius = MOST;
    }
    flags[e] = fault;
    facts[e] = vec4<f32>(select(enter, 0.0, fault != 0.0), norm, radius, c);
}
