// h = factor g
// m <- beta1 m + (1 - beta1) h
// v <- beta2 v + (1 - beta2) h^2
// x <- (1 - eta decay) x - eta (m c1) / (sqrt(v) c2 + eps)     with eta = lr scale
//
// x, m, v: [count] read and written in place; g: [count];
// control: lr, c1 = 1 / (1 - beta1^t), c2 = 1 / sqrt(1 - beta2^t), unused;
// clip: factor, norm, whether this step is skipped, skipped steps.
// One invocation an element.

import package::shared::index::item_index;

struct Params {
    count: u32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    eps: f32,
    decay: f32,
    scale: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read> control: array<f32>;
@group(0) @binding(5) var<storage, read> clip: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn adamw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    if i >= p.count || clip[2] != 0.0 {
        return;
    }
    let h = clip[0] * g[i];
    let first = p.beta1 * m[i] + p.rest1 * h;
    let second = p.beta2 * v[i] + p.rest2 * h * h;
    m[i] = first;
    v[i] = second;
    let eta = control[0] * p.scale;
    let update = first * control[1] / (sqrt(second) * control[2] + p.eps);
    x[i] = x[i] - eta * p.decay * x[i] - eta * update;
}
