// y[i] = sum over 32 chains k of v_k after `rounds` times 8 steps v_k = v_k factor + addend, from
// v_k = i mod 256 + k: the arithmetic reference of the benchmarks.
//
// y: [count] output.
// One invocation an element; 32 independent chains, as eight vec4, hide the latency of a step.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    rounds: u32,
    factor: f32,
    addend: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn fma_peak(at: At) {
    let i = item_index(at, WG);
    let m = vec4(p.factor);
    let c = vec4(p.addend);
    let first = vec4(f32(i & 255u)) + vec4(0.0, 1.0, 2.0, 3.0);
    var v0 = first;
    var v1 = first + 4.0;
    var v2 = first + 8.0;
    var v3 = first + 12.0;
    var v4 = first + 16.0;
    var v5 = first + 20.0;
    var v6 = first + 24.0;
    var v7 = first + 28.0;
    for (var round = 0u; round < p.rounds; round++) {
        for (var step = 0u; step < 8u; step++) {
            v0 = fma(v0, m, c);
            v1 = fma(v1, m, c);
            v2 = fma(v2, m, c);
            v3 = fma(v3, m, c);
            v4 = fma(v4, m, c);
            v5 = fma(v5, m, c);
            v6 = fma(v6, m, c);
            v7 = fma(v7, m, c);
        }
    }
    let sum = (v0 + v1 + v2 + v3) + (v4 + v5 + v6 + v7);
    if i < p.count {
        y[i] = sum.x + sum.y + sum.z + sum.w;
    }
}
