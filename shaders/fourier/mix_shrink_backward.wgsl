// gv[i] = g[i] 1[|v[i]| > threshold], of the three shrunk inputs of mix_shrink
//
// a, b, c, g: [count]; ga, gb, gc: [count] outputs. (The gradient of x is g.)
// One invocation an element.

import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    threshold: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> ga: array<f32>;
@group(0) @binding(5) var<storage, read_write> gb: array<f32>;
@group(0) @binding(6) var<storage, read_write> gc: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn mix_shrink_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    ga[i] = keep_nan(a[i], select(0.0, g[i], abs(a[i]) > p.threshold));
    gb[i] = keep_nan(b[i], select(0.0, g[i], abs(b[i]) > p.threshold));
    gc[i] = keep_nan(c[i], select(0.0, g[i], abs(c[i]) > p.threshold));
}
