// y[i] = s (g[i] - (gw / ww) w[i])      s = sqrt(gg / (gg - gw^2 / ww))
//   with gw, ww, gg the sums of the partials; y = g where w = 0, and y = 0 where less than a
//   thousandth of g is left, which rounding cannot tell from nothing.
//
// g, w, y: [count]; partials: [groups, 5] of `overlap`.
// One invocation SPAN neighbouring elements; each adds up the few partials by itself.

import package::shared::index::{At, item_index};
import package::shared::magnitude::to_one;

struct Params {
    count: u32,
    groups: u32,
}

override WG: u32 = 64u;
override SPAN: u32 = 64u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The factors of g and of w, each times the power of two that follows.
fn factors() -> vec4<f32> {
    var top = vec2(0.0);
    for (var k = 0u; k < p.groups; k++) {
        top = max(top, vec2(partials[5u * k + 3u], partials[5u * k + 4u]));
    }
    let scale = vec2(to_one(top.x), to_one(top.y));
    var sum = vec3(0.0);
    for (var k = 0u; k < p.groups; k++) {
        let ratio = scale / vec2(to_one(partials[5u * k + 3u]), to_one(partials[5u * k + 4u]));
        sum.x += partials[5u * k] * ratio.x * ratio.y;
        sum.y += partials[5u * k + 1u] * ratio.y * ratio.y;
        sum.z += partials[5u * k + 2u] * ratio.x * ratio.x;
    }
    if sum.y == 0.0 {
        return vec4(1.0, 0.0, scale);
    }
    let along = sum.x / sum.y;
    let rest = sum.z - along * sum.x;
    if rest <= 1e-6 * sum.z {
        return vec4(0.0, 0.0, scale);
    }
    let factor = sqrt(sum.z / rest);
    return vec4(factor, -factor * along, scale);
}

@compute @workgroup_size(WG)
fn project(at: At) {
    let item = item_index(at, WG);
    // Neighbours in memory stay neighbours in a workgroup.
    let first = (item / WG) * WG * SPAN + item % WG;
    if first >= p.count {
        return;
    }
    let f = factors();
    for (var i = first; i < min(first + WG * SPAN, p.count); i += WG) {
        y[i] = (f.x * (g[i] * f.z) + f.y * (w[i] * f.w)) / f.z;
    }
}
