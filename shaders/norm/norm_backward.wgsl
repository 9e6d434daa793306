// gx[r, i] = q (h[i] - mean_k h[k] - n[i] mean_k h[k] n[k])        h = g gain, n = (x - m) q
//   if RMS (m = 0), without the first mean
//
// x, g, gx: [rows, length]; gain: [length]; stats: [rows, 2] of m - x[r, 0] and q.
// One invocation a row, or one workgroup with the condition WORKGROUP. Two walks over the row.

import package::shared::index::{At, group_index, item_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    rows: u32,
    length: u32,
}

override RMS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gain: array<f32>;
@group(0) @binding(2) var<storage, read> stats: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> gx: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(RANGE)
fn norm_backward(at: At) {
    @if(SUBGROUPS) let place = Place(at.local, at.lane, at.subgroup, at.subgroups);
    @if(!SUBGROUPS) let place = Place(at.local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(at);
    @if(!WORKGROUP) let row = item_index(at, RANGE);
    if row >= p.rows {
        return;
    }
    let base = row * p.length;
    let first = at.local % LANES;
    let pivot = select(x[base], 0.0, RMS);
    let shift = stats[2u * row];
    let q = stats[2u * row + 1u];
    // Chains of 64 keep the rounding of long rows small.
    var plain = 0.0;
    var along = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = vec2<f32>(0.0);
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let h = g[base + k] * gain[k];
            part += vec2(h, h * ((x[base + k] - pivot) - shift));
        }
        plain += part.x;
        along += part.y;
    }
    if RMS {
        plain = 0.0;
    } else {
        plain = row_sum(plain, place) / f32(p.length);
    }
    along = row_sum(along, place) / f32(p.length) * q * q;
    for (var k = first; k < p.length; k += LANES) {
        let n = (x[base + k] - pivot) - shift;
        gx[base + k] = q * (g[base + k] * gain[k] - plain - n * along);
    }
}
