// y[t, b, c] = bias[c] + sum_k w[k, c] x[t - back(k), b, c], x before the first step being 0
// with ADJOINT y[t, b, c] = sum_k w[k, c] x[t + back(k), b, c], the gradient of the input        (conv/taps.wgsl)
//
// x, y: [T, B, C], y output; w: [K, C]; bias: [C] (with BIAS, else bound to anything).
// One invocation an element.

import package::shared::index::{At, item_index};
import package::conv::taps::{ConvParams, back, first_tap};

override WG: u32 = 256u;
override ADJOINT: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: ConvParams;

@compute @workgroup_size(WG)
fn depthwise_conv(at: At) {
    let i = item_index(at, WG);
    let row = p.batch * p.channels;
    let t = i / row;
    if t >= p.steps {
        return;
    }
    let c = i % p.channels;
    var sum = 0.0;
    if BIAS {
        sum = bias[c];
    }
    let reach = select(t, p.steps - 1u - t, ADJOINT);
    for (var k = first_tap(p.taps, p.dilation, reach); k < p.taps; k++) {
        let distance = back(k, p.taps, p.dilation) * row;
        sum += w[k * p.channels + c] * x[select(i - distance, i + distance, ADJOINT)];
    }
    y[i] = sum;
}
