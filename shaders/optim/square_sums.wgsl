// partials[offset + k] = sums of g[i]^2 over one chunk of one gradient g, the chunks of all in a row:
// (of small elements, times 2^180; of middling ones; of large ones, times 2^-180; 1 if an element is not
// finite). So no square leaves the range, and the gradient is read once.
//
// g0 .. g6: gradients, of counts[j] elements in chunks of chunks[j]; ends[j]: the chunks of gradients
// 0 .. j together; partials: one vector a chunk, written from `offset` on. Without MANY only g0 is read.
// One workgroup a chunk: strided sums in registers, then a tree in workgroup memory. With WG = 1 no
// barrier is left: that is for software adapters.

import package::shared::finite::is_not_finite;
import package::shared::index::{Group, group_index};
import package::shared::squares::squared;

struct Params {
    counts: array<vec4<u32>, 2>,
    chunks: array<vec4<u32>, 2>,
    ends: array<vec4<u32>, 2>,
    gradients: u32,
    offset: u32,
    unused_0: u32,
    unused_1: u32,
}

override WG: u32 = 256u;
override MANY: bool = false;

@group(0) @binding(0) var<storage, read> g0: array<f32>;
@group(0) @binding(1) var<storage, read> g1: array<f32>;
@group(0) @binding(2) var<storage, read> g2: array<f32>;
@group(0) @binding(3) var<storage, read> g3: array<f32>;
@group(0) @binding(4) var<storage, read> g4: array<f32>;
@group(0) @binding(5) var<storage, read> g5: array<f32>;
@group(0) @binding(6) var<storage, read> g6: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> sums: array<vec4<f32>, 256>;

fn value(j: u32, i: u32) -> f32 {
    if MANY {
        switch j {
            case 1u: { return g1[i]; }
            case 2u: { return g2[i]; }
            case 3u: { return g3[i]; }
            case 4u: { return g4[i]; }
            case 5u: { return g5[i]; }
            case 6u: { return g6[i]; }
            default: {}
        }
    }
    return g0[i];
}

@compute @workgroup_size(WG)
fn square_sums(at: Group, @builtin(local_invocation_index) local: u32) {
    let k = group_index(at);
    var j = 0u;
    var before = 0u;
    while j + 1u < p.gradients && k >= p.ends[j / 4u][j % 4u] {
        before = p.ends[j / 4u][j % 4u];
        j++;
    }
    let chunk = p.chunks[j / 4u][j % 4u];
    let start = (k - before) * chunk;
    let end = min(start + chunk, p.counts[j / 4u][j % 4u]);
    var sum = vec4<f32>(0.0);
    for (var i = start + local; i < end; i += WG) {
        let v = value(j, i);
        sum += vec4<f32>(squared(v), 0.0);
        if is_not_finite(v) {
            sum.w = 1.0;
        }
    }
    sums[local] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    if local == 0u && k < p.ends[j / 4u][j % 4u] {
        let all = sums[0];
        partials[p.offset + k] = vec4<f32>(all.xyz, min(all.w, 1.0));
    }
}
