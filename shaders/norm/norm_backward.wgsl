// gx[r, i] = q (h[i] - mean_k h[k] - n[i] mean_k h[k] n[k])        h = g gain, n = (x - m) q
//   if RMS (m = 0), without the first mean
//
// x, g, gx: [rows, length]; gain: [length]; stats: [rows, 3] of s (m - x[r, 0]), q / s and s.
// One invocation a row, or one workgroup with the condition WORKGROUP. Two walks over the row, and one
// more where h is so large that its sums would leave the range of f32.

import package::shared::deviation::{Row, deviation, row_of};
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_max, row_sum};
import package::shared::squares::{DOWN, LARGE, UP};

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

// A row as forward left it.
struct Normal {
    row: Row,
    shift: f32,
    q: f32,
}

fn normal(x: f32, n: Normal) -> f32 {
    return (deviation(x, n.row) - n.shift) * n.q;
}

// The sums over a lane's elements of h t and h t n, in chains of 64: they keep the rounding of long rows
// small; and the largest |h t|.
fn sums_of(base: u32, first: u32, n: Normal, t: f32) -> vec3<f32> {
    var sums = vec2<f32>(0.0);
    var size = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = vec2<f32>(0.0);
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let h = t * g[base + k] * gain[k];
            part += vec2(h, h * normal(x[base + k], n));
            size = max(size, abs(h));
        }
        sums += part;
    }
    return vec3<f32>(sums, size);
}

@compute @workgroup_size(RANGE)
fn norm_backward(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let start = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let start = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(at);
    @if(!WORKGROUP) let row = group_index(at) * RANGE + local;
    if row >= p.rows {
        return;
    }
    let base = row * p.length;
    let first = local % LANES;
    let pivot = select(x[base], 0.0, RMS);
    let s = stats[3u * row + 2u];
    let n = Normal(row_of(pivot, s), stats[3u * row], stats[3u * row + 1u]);
    var sums = sums_of(base, first, n, 1.0);
    let large = row_max(sums.z, start) > LARGE;
    let t = select(1.0, DOWN, large);
    if large {
        sums = sums_of(base, first, n, t);
    }
    var plain = 0.0;
    if !RMS {
        plain = row_sum(sums.x, start) / f32(p.length);
    }
    let along = row_sum(sums.y, start) / f32(p.length);
    let back = select(1.0, UP, large);
    for (var k = first; k < p.length; k += LANES) {
        let v = n.q * (t * g[base + k] * gain[k] - plain - normal(x[base + k], n) * along);
        // A row that was enlarged times a gradient that was not: either product alone may be no number.
        gx[base + k] = select(v * s * back, v * (s * back), s < 1.0);
    }
}
