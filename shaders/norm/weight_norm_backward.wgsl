// g_length[n] = sum_k g[k, n] v[k, n] / norm[n], gv = length / norm (g - g_length v / norm)
// and both 0 where the norm is 0: there is no direction to turn
//
// v, g: [K, N]; length: [N]; norm: [2, N] of the norm times s, and s; gv: [K, N], g_length: [N], outputs.
// One invocation a column, or one workgroup with the condition WORKGROUP.

import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> length_of: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gv: array<f32>;
@group(0) @binding(5) var<storage, read_write> g_length: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn weight_norm_backward(at: Group, @builtin(local_invocation_index) local: u32) {
    let place = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let n = group_index(at);
    @if(!WORKGROUP) let n = group_index(at) * RANGE + local;
    let first = local % LANES;
    if n >= p.columns {
        return;
    }
    let s = norm[p.columns + n];
    let inverse = select(1.0 / norm[n], 0.0, norm[n] == 0.0);
    // Two chains of sums, as in `weight_norm`.
    var sums: vec2<f32>;
    for (var k = first; k < p.rows; k += LANES) {
        let term = g[k * p.columns + n] * (s * v[k * p.columns + n] * inverse);
        sums += select(vec2<f32>(term, 0.0), vec2<f32>(0.0, term), k / LANES % 2u == 1u);
    }
    let along = row_sum(sums.x + sums.y, place);
    if first == 0u {
        g_length[n] = along;
    }
    let factor = length_of[n] * inverse;
    for (var k = first; k < p.rows; k += LANES) {
        let i = k * p.columns + n;
        gv[i] = factor * (g[i] - along * (s * v[i] * inverse)) * s;
    }
}
