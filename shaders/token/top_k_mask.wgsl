// y[r, i] = 1 where x[r, i] is among the k largest of its row, else 0; of equal ones the first count, and
// a NaN is larger than any
//
// x, y: [rows, length]; threshold: [rows] takes the k-th largest of each row.
// One invocation a row, or one workgroup with the condition WORKGROUP. The k-th largest is found bit
// by bit, from the highest on, as the largest number that k elements or more reach; then, likewise,
// the place of the last element equal to it that counts.

import package::shared::finite::{SIGN_BIT, rank_of};
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum};

struct Params {
    rows: u32,
    length: u32,
    k: u32,
    place_bits: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> threshold: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key ^ SIGN_BIT, key >= SIGN_BIT));
}

// How many elements of the row reach `least`.
fn reaching(base: u32, first: u32, least: u32, at: Place) -> u32 {
    var found = 0u;
    for (var i = first; i < p.length; i += LANES) {
        found += u32(rank_of(x[base + i]) >= least);
    }
    return u32(row_sum(f32(found), at));
}

// How many of the first `end` elements of the row are equal to `key`.
fn equal_before(base: u32, first: u32, key: u32, end: u32, at: Place) -> u32 {
    var found = 0u;
    for (var i = first; i < min(end, p.length); i += LANES) {
        found += u32(rank_of(x[base + i]) == key);
    }
    return u32(row_sum(f32(found), at));
}

@compute @workgroup_size(RANGE)
fn top_k_mask(
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
    var key = 0u;
    for (var bit = 32u; bit > 0u; bit--) {
        let higher = key | (1u << (bit - 1u));
        key = select(key, higher, reaching(base, first, higher, start) >= p.k);
    }
    // Nothing is above a NaN.
    let above = select(reaching(base, first, key + 1u, start), 0u, key == 0xffffffffu);
    let equal = p.k - above;
    var last = 0u;
    for (var bit = p.place_bits; bit > 0u; bit--) {
        let later = last | (1u << (bit - 1u));
        last = select(last, later, equal_before(base, first, key, later, start) < equal);
    }
    if first == 0u {
        threshold[row] = value_of(key);
    }
    for (var i = first; i < p.length; i += LANES) {
        let here = rank_of(x[base + i]);
        y[base + i] = select(0.0, 1.0, here > key || (here == key && i <= last));
    }
}
