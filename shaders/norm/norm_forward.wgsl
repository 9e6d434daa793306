// y[r, i] = (x[r, i] - m) q gain[i] + bias[i]        q = 1 / sqrt(v + eps)
//   m = mean_i x[r, i], v = mean_i (x[r, i] - m)^2; if RMS, m = 0
//   with the condition ADD, x + residual stands in the place of x and is written to `sum`
//
// x, residual, y, sum: [rows, length]; gain, bias: [length], the latter not read unless BIAS;
// stats: [rows, 3] takes s (m - x[r, 0]) (m = x[r, 0] = 0 if RMS), q / s and s: a mean that is counted from
// an element of its row loses nothing to an offset that all elements share, and s is 1, or the power of
// two that brings a row to where its squares keep their bits.
// One invocation a row, or one workgroup with the condition WORKGROUP. Three walks over the row, two if
// RMS, and one more where s is not 1.

import package::shared::deviation::{Row, deviation, row_of};
import package::shared::finite::root_of;
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_max, row_sum};
import package::shared::squares::to_middle;

struct Params {
    rows: u32,
    length: u32,
    eps: f32,
    // The square root of eps.
    root: f32,
}

override RMS: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gain: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;
@if(ADD) @group(0) @binding(5) var<storage, read> residual: array<f32>;
@if(ADD) @group(0) @binding(6) var<storage, read_write> sum: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// What is normalised, read for the first time.
@if(!ADD) fn first_look(i: u32) -> f32 {
    return x[i];
}
@if(ADD) fn first_look(i: u32) -> f32 {
    return x[i] + residual[i];
}

@if(!ADD) fn keep(i: u32, value: f32) {
}
@if(ADD) fn keep(i: u32, value: f32) {
    sum[i] = value;
}

// Likewise, later: each invocation reads what it wrote itself.
@if(!ADD) fn look(i: u32) -> f32 {
    return x[i];
}
@if(ADD) fn look(i: u32) -> f32 {
    return sum[i];
}

// The sum over a lane's elements, in chains of 64: they keep the rounding of long rows small.
fn sum_of(base: u32, first: u32, row: Row, shift: f32, squared: bool) -> f32 {
    var total = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let v = deviation(look(base + k), row) - shift;
            part += select(v, v * v, squared);
        }
        total += part;
    }
    return total;
}

@compute @workgroup_size(RANGE)
fn norm_forward(
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
    var pivot = 0.0;
    if !RMS {
        pivot = first_look(base);
    }
    // Of the row as it is; half of its largest deviation is a number, whatever the row.
    var total = 0.0;
    var size = 0.5 * p.root;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let x = first_look(base + k);
            keep(base + k, x);
            let v = x - pivot;
            part += select(v, v * v, RMS);
            size = max(size, abs(0.5 * x - 0.5 * pivot));
        }
        total += part;
    }
    let s = to_middle(row_max(size, start));
    let scaled = row_of(pivot, s);
    if s != 1.0 {
        total = sum_of(base, first, scaled, 0.0, RMS);
    }
    var shift = 0.0;
    if !RMS {
        shift = row_sum(total, start) / f32(p.length);
        total = sum_of(base, first, scaled, shift, true);
    }
    let root = p.root * s;
    let eps = select(root * root, p.eps, s == 1.0);
    let q = 1.0 / root_of(row_sum(total, start) / f32(p.length) + eps);
    if first == 0u {
        stats[3u * row] = shift;
        stats[3u * row + 1u] = q;
        stats[3u * row + 2u] = s;
    }
    for (var k = first; k < p.length; k += LANES) {
        var v = (deviation(look(base + k), scaled) - shift) * q * gain[k];
        if BIAS {
            v += bias[k];
        }
        y[base + k] = v;
    }
}
