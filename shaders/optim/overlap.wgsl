// partials[k] = (sum of g w, sum of w^2, sum of g^2, max |g|, max |w|) over
// k chunk <= i < min((k + 1) chunk, count), g and w each times the power of two that brings its maximum
// to [1, 2) (`to_one`), so that no square leaves the range
//
// g, w: [count]; partials: [groups, 5].
// One workgroup a chunk: strided sums in registers, then a tree in workgroup memory. With WG = 1 no
// barrier is left: that is for software adapters.

import package::shared::index::{Group, group_index};
import package::shared::magnitude::to_one;

struct Params {
    count: u32,
    chunk: u32,
    groups: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> tops: array<vec2<f32>, 256>;
var<workgroup> sums: array<vec3<f32>, 256>;

@compute @workgroup_size(WG)
fn overlap(at: Group, @builtin(local_invocation_index) local: u32) {
    let k = group_index(at);
    let end = min((k + 1u) * p.chunk, p.count);
    var top = vec2(0.0);
    for (var i = k * p.chunk + local; i < end; i += WG) {
        top = max(top, abs(vec2(g[i], w[i])));
    }
    tops[local] = top;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            tops[local] = max(tops[local], tops[local + half]);
        }
    }
    if WG > 1u {
        workgroupBarrier();
    }
    top = tops[0];
    let scale = vec2(to_one(top.x), to_one(top.y));
    var sum = vec3(0.0);
    // Chains of 64 keep the rounding of long sums small.
    for (var block = k * p.chunk + local; block < end; block += 64u * WG) {
        var part = vec3(0.0);
        for (var i = block; i < min(block + 64u * WG, end); i += WG) {
            let v = vec2(g[i], w[i]) * scale;
            part += vec3(v.x * v.y, v.y * v.y, v.x * v.x);
        }
        sum += part;
    }
    sums[local] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    if local == 0u && k < p.groups {
        partials[5u * k] = sums[0].x;
        partials[5u * k + 1u] = sums[0].y;
        partials[5u * k + 2u] = sums[0].z;
        partials[5u * k + 3u] = top.x;
        partials[5u * k + 4u] = top.y;
    }
}
