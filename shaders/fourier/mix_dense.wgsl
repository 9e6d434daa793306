// z = x + ss(o_1) + ss(o_2) + ss(o_3), o_k = relu(o_{k-1} W_k + b_k), o_0 = x, complex
//
// x: [rows, E] pairs, E <= 128; w: [3, 2, E, E] and b: [3, 2, E], real parts before imaginary ones;
// z: [rows, E] pairs, output; o1, o2, o3: likewise, outputs if KEEP (else they may be bound to anything).
// ss: soft shrinkage by `threshold`.
// A workgroup takes 16 rows: what goes into a layer stands in workgroup memory (16 KiB at E = 128), what
// comes out in registers: of a channel 8 rows an invocation. WG: 2 E, rounded up.

import package::shared::finite::greatest_two;
import package::shared::complex::cmul;
import package::fourier::graph::shrink;
import package::shared::index::{Group, group_index};

struct Params {
    rows: u32,
    channels: u32,
    threshold: f32,
}

override WG: u32 = 256u;
override KEEP: bool = true;

const ROWS: u32 = 16u;
const EACH: u32 = 8u;

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> o1: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> o2: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> o3: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> tile: array<vec2<f32>, 2048>;

fn keep(layer: u32, at: u32, v: vec2<f32>) {
    if layer == 0u { o1[at] = v; }
    if layer == 1u { o2[at] = v; }
    if layer == 2u { o3[at] = v; }
}

@compute @workgroup_size(WG)
fn mix_dense(at: Group, @builtin(local_invocation_index) local: u32) {
    let block = group_index(at) * ROWS;
    let n = p.channels;
    // Beyond the last row and channel invocations take part in the barriers only.
    let c = local % n;
    let first = local / n * EACH;
    let busy = first < ROWS;
    var sum: array<vec2<f32>, 8>;
    for (var r = 0u; r < EACH; r++) {
        if busy && block + first + r < p.rows {
            sum[r] = x[(block + first + r) * n + c];
        }
        if busy {
            tile[(first + r) * n + c] = sum[r];
        }
    }
    workgroupBarrier();
    for (var layer = 0u; layer < 3u; layer++) {
        var v: array<vec2<f32>, 8>;
        if busy {
            let re = 2u * layer * n * n + c;
            let bias = vec2<f32>(b[2u * layer * n + c], b[(2u * layer + 1u) * n + c]);
            for (var r = 0u; r < EACH; r++) { v[r] = bias; }
            for (var k = 0u; k < n; k++) {
                let weight = vec2<f32>(w[re + k * n], w[re + (n + k) * n]);
                for (var r = 0u; r < EACH; r++) { v[r] += cmul(tile[(first + r) * n + k], weight); }
            }
        }
        workgroupBarrier();
        for (var r = 0u; r < EACH; r++) {
            v[r] = greatest_two(v[r], vec2<f32>());
            sum[r] += shrink(v[r], p.threshold);
            let row = block + first + r;
            if busy {
                tile[(first + r) * n + c] = v[r];
                if KEEP && row < p.rows { keep(layer, row * n + c, v[r]); }
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < EACH; r++) {
        let row = block + first + r;
        if busy && row < p.rows { z[row * n + c] = sum[r]; }
    }
}
