// y[i] = s (g[i] - (gw / ww) w[i])      s = sqrt(gg / (gg - gw^2 / ww))
//   with gw, ww, gg the sums of the partials; y = g where w = 0, and y = 0 where less than a
//   thousandth of g is left, which rounding cannot tell from nothing.
//
// g, w, y: [count]; partials: [groups, 3] of gw, ww, gg.
// One invocation SPAN neighbouring elements; each adds up the few partials by itself.

import package::shared::index::item_index;

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

// The factors of g and of w.
fn factors() -> vec2<f32> {
    var sum = vec3(0.0);
    for (var k = 0u; k < p.groups; k++) {
        sum += vec3(partials[3u * k], partials[3u * k + 1u], partials[3u * k + 2u]);
    }
    if sum.y == 0.0 {
        return vec2(1.0, 0.0);
    }
    let along = sum.x / sum.y;
    let rest = sum.z - along * sum.x;
    if rest <= 1e-6 * sum.z {
        return vec2(0.0);
    }
    let scale = sqrt(sum.z / rest);
    return vec2(scale, -scale * along);
}

@compute @workgroup_size(WG)
fn project(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = item_index(group, groups, local, WG);
    // Neighbours in memory stay neighbours in a workgroup.
    let first = (item / WG) * WG * SPAN + item % WG;
    if first >= p.count {
        return;
    }
    let f = factors();
    for (var i = first; i < min(first + WG * SPAN, p.count); i += WG) {
        y[i] = f.x * g[i] + f.y * w[i];
    }
}
