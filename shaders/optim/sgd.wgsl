// h = factor g
// v <- momentum v + h
// x <- (1 - eta decay) x - eta (h + momentum v  if nesterov, else v)     with eta = lr scale
//
// x, v: [count] read and written in place; g: [count];
// control: lr, three unused; clip: factor, norm, whether this step is skipped, skipped steps.
// One invocation an element.

import package::shared::index::item_index;

struct Params {
    count: u32,
    nesterov: u32,
    momentum: f32,
    decay: f32,
    scale: f32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read> clip: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn sgd(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    if i >= p.count || clip[2] != 0.0 {
        return;
    }
    let h = clip[0] * g[i];
    let velocity = p.momentum * v[i] + h;
    v[i] = velocity;
    let update = select(velocity, h + p.momentum * velocity, p.nesterov != 0u);
    let eta = control[0] * p.scale;
    x[i] = x[i] - eta * p.decay * x[i] - eta * update;
}
