// Rows of logits, a tile of the classes at a time: for row r = row_first + i with target t, over the
// classes c = class_first .. class_first + width that stand in the tile x[i],
//   if STATISTICS: m = max x, s = sum exp(x - m), and x[t] if it is here, joined with those of the
//     tiles before (none if `start` is 1): stats[r] = m, s, x[t]; loss[r] = log s - (x[t] - m), the
//     loss once all tiles were seen;
//   if GRADIENT: x[c] becomes (exp(x[c] - m) / s - [c = t]) / divisor, with the statistics of all tiles
//     (both at once only where one tile holds all classes).
// A target >= classes gives loss 0 and gradient 0.
//
// x: [rows, width] read and written; targets, loss: [N]; stats: [N, 3].
// One invocation a row, or one workgroup with the condition WORKGROUP. Three walks over the row.

import package::shared::finite::greatest;
import package::shared::index::{Group, group_index};
import package::shared::math::{exp_below, ln_of};
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};

struct Params {
    rows: u32,
    width: u32,
    row_first: u32,
    class_first: u32,
    classes: u32,
    start: u32,
    divisor: f32,
}

override STATISTICS: bool = true;
override GRADIENT: bool = true;

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// What exponentials are taken relative to: 0 where every logit so far is -infinity, so that they are 0.
fn shift_of(largest: f32) -> f32 {
    return select(largest, 0.0, bitcast<u32>(largest) == 0xff800000u);
}

// The largest logit of a row of the tile, and the sum of exponentials relative to it.
fn row_statistics(base: u32, first: u32, at: Place) -> vec2<f32> {
    var largest = x[base];
    for (var k = first; k < p.width; k += LANES) {
        largest = greatest(largest, x[base + k]);
    }
    largest = row_max(largest, at);
    let shift = shift_of(largest);
    // Chains of 64 keep the rounding of long rows small.
    var sum = 0.0;
    for (var block = first; block < p.width; block += 64u * LANES) {
        var part = 0.0;
        for (var k = block; k < min(block + 64u * LANES, p.width); k += LANES) {
            part += exp_below(x[base + k] - shift);
        }
        sum += part;
    }
    return vec2(largest, row_sum(sum, at));
}

// Joins what was found in a tile with the statistics of row r. Of one invocation only: the one that
// owns the target's logit, where that is in the tile.
fn join(r: u32, found: vec2<f32>, hit: f32, inside: bool) {
    var largest = found.x;
    var sum = found.y;
    var logit = hit;
    if p.start == 0u {
        largest = greatest(found.x, stats[3u * r]);
        let shift = shift_of(largest);
        sum = found.y * exp_below(found.x - shift)
            + stats[3u * r + 1u] * exp_below(stats[3u * r] - shift);
        logit = select(stats[3u * r + 2u], hit, inside);
    }
    stats[3u * r] = largest;
    stats[3u * r + 1u] = sum;
    stats[3u * r + 2u] = logit;
    loss[r] = select(0.0, ln_of(sum) - (logit - largest), targets[r] < p.classes);
}

@compute @workgroup_size(RANGE)
fn cross_entropy_tile(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let from_place = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let from_place = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let i = group_index(at);
    @if(!WORKGROUP) let i = group_index(at) * RANGE + local;
    if i >= p.rows {
        return;
    }
    let base = i * p.width;
    let r = p.row_first + i;
    let first = local % LANES;
    let target_class = targets[r];
    let counts = target_class < p.classes;
    let place = target_class - p.class_first;
    let inside = counts && target_class >= p.class_first && place < p.width;
    var found = vec2<f32>(0.0, 1.0);
    if STATISTICS {
        found = row_statistics(base, first, from_place);
        // Who writes the target's logit below has read it before.
        if first == select(0u, place % LANES, inside) {
            let hit = select(0.0, x[base + select(0u, place, inside)], inside);
            join(r, found, hit, inside);
        }
    } else {
        found = vec2(stats[3u * r], stats[3u * r + 1u]);
    }
    if GRADIENT {
        let scale = select(0.0, 1.0 / p.divisor, counts);
        let factor = scale / found.y;
        for (var k = first; k < p.width; k += LANES) {
            let hit = select(0.0, scale, inside && k == place);
            let gradient = factor * exp_below(x[base + k] - found.x) - hit;
            x[base + k] = select(0.0, gradient, counts);
        }
    }
}
