// y[r, i] = (x[r, i] - m) q gain[i] + bias[i]        q = 1 / sqrt(v + eps)
//   m = mean_i x[r, i], v = mean_i (x[r, i] - m)^2; if RMS, m = 0
//   with the condition ADD, x + residual stands in the place of x and is written to `sum`
//
// x, residual, y, sum: [rows, length]; gain, bias: [length], the latter not read unless BIAS;
// stats: [rows, 2] takes m - x[r, 0] (0 if RMS) and q: a mean that is counted from an element of its
// row loses nothing to an offset that all elements share.
// One invocation a row, or one workgroup with the condition WORKGROUP. Three walks over the row.

import package::shared::finite::root_of;
import package::shared::index::{At, group_index, item_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    rows: u32,
    length: u32,
    eps: f32,
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

@compute @workgroup_size(RANGE)
fn norm_forward(at: At) {
    @if(SUBGROUPS) let start = Place(at.local, at.lane, at.subgroup, at.subgroups);
    @if(!SUBGROUPS) let start = Place(at.local, 0u, 0u, 0u);
    @if(WORKGROUP) let row = group_index(at);
    @if(!WORKGROUP) let row = item_index(at, RANGE);
    if row >= p.rows {
        return;
    }
    let base = row * p.length;
    let first = at.local % LANES;
    // Chains of 64 keep the rounding of long rows small.
    var pivot = 0.0;
    var shift = 0.0;
    if !RMS {
        pivot = first_look(base);
        var total = 0.0;
        for (var block = first; block < p.length; block += 64u * LANES) {
            var part = 0.0;
            for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
                let v = first_look(base + k);
                keep(base + k, v);
                part += v - pivot;
            }
            total += part;
        }
        shift = row_sum(total, start) / f32(p.length);
    }
    var squares = 0.0;
    for (var block = first; block < p.length; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.length); k += LANES) {
            let v = (look(base + k) - pivot) - shift;
            part += v * v;
        }
        squares += part;
    }
    let q = 1.0 / root_of(row_sum(squares, start) / f32(p.length) + p.eps);
    if first == 0u {
        stats[2u * row] = shift;
        stats[2u * row + 1u] = q;
    }
    for (var k = first; k < p.length; k += LANES) {
        var v = ((look(base + k) - pivot) - shift) * q * gain[k];
        if BIAS {
            v += bias[k];
        }
        y[base + k] = v;
    }
}
