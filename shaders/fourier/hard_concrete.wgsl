// m[f] = clamp(s (zeta - gamma) + gamma, 0, 1), s = sigmoid((ln u - ln(1 - u) + a[f]) / beta), or, without
// NOISE, s = sigmoid(a[f])
//
// a: [count]; u: [count], in (0, 1), read with NOISE; m: [count] output.
// One invocation an element.

import package::shared::finite::limited;
import package::shared::index::{At, item_index};
import package::fourier::concrete::{ConcreteParams, open_share};

override WG: u32 = 64u;
override NOISE: bool = false;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(1) @binding(0) var<uniform> p: ConcreteParams;

@compute @workgroup_size(WG)
fn hard_concrete(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    var noise = 0.5;
    if NOISE {
        noise = u[i];
    }
    m[i] = limited(open_share(NOISE, a[i], noise, p.beta) * (p.zeta - p.gamma) + p.gamma, 0.0, 1.0);
}
