// gz[i] = g[i] 1[o[i] > threshold] + next[i] 1[o[i] > 0]
//
// o: [count], what relu gave in a layer of mix_dense; g: [count], the gradient of the sum of the shrunk
// layers; next: [count], what comes back from the next layer, if NEXT (else it may be bound to anything);
// gz: [count] output, the gradient before relu.
// One invocation an element.

import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    threshold: f32,
}

override WG: u32 = 256u;
override NEXT: bool = false;

@group(0) @binding(0) var<storage, read> o: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read> next: array<f32>;
@group(0) @binding(3) var<storage, read_write> gz: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn mix_reached(at: At) {
    let i = item_index(at, WG);
    if i >= p.count {
        return;
    }
    var v = select(0.0, g[i], o[i] > p.threshold);
    if NEXT {
        v += select(0.0, next[i], o[i] > 0.0);
    }
    gz[i] = keep_nan(o[i], v);
}
