// ga[f] = g[f] (zeta - gamma) s (1 - s) / beta where 0 < m[f] < 1, else 0 (without NOISE not over beta)
//
// a, u: as in hard_concrete; g: [count]; ga: [count] output.
// One invocation an element.

import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};
import package::fourier::concrete::{ConcreteParams, open_share};

override WG: u32 = 64u;
override NOISE: bool = false;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> ga: array<f32>;
@group(1) @binding(0) var<uniform> p: ConcreteParams;

@compute @workgroup_size(WG)
fn hard_concrete_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    var noise = 0.5;
    var rate = 1.0;
    if NOISE {
        noise = u[i];
        rate = 1.0 / p.beta;
    }
    let s = open_share(NOISE, a[i], noise, p.beta);
    let width = p.zeta - p.gamma;
    let m = s * width + p.gamma;
    let slope = width * s * (1.0 - s) * rate;
    ga[i] = keep_nan(m, select(0.0, g[i] * slope, m > 0.0 && m < 1.0));
}
