// gx[r, c] = g (exp(x[r, c] - m[r] - log s[r]) - (1 - a) [c = t] - a / C) / divisor
//   with target t of row r, label smoothing a; 0 in rows whose target is >= C.
//
// x, gx: [rows, classes]; targets: [rows]; stats: [rows, 2] of m and log s; g: [1].
// One invocation an element.

import package::shared::index::item_index;

struct Params {
    count: u32,
    classes: u32,
    smoothing: f32,
    divisor: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn cross_entropy_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    if i >= p.count {
        return;
    }
    let r = i / p.classes;
    let t = targets[r];
    var slope = 0.0;
    if t < p.classes {
        let probability = exp(x[i] - stats[2u * r] - stats[2u * r + 1u]);
        let hit = select(0.0, 1.0 - p.smoothing, i % p.classes == t);
        slope = probability - hit - p.smoothing / f32(p.classes);
    }
    gx[i] = g[0] * slope / p.divisor;
}
