// For each row r of scores z = f(x) (`loss/scores.wgsl`) with target t:
//   m = max_c z[r, c], s = sum_c exp(z[r, c] - m),
//   loss[r] = log(s) - (1 - a) (z[r, t] - m) - a / C sum_c (z[r, c] - m), a the label smoothing;
// part[i] = sum of loss[r] over rows i * span .. (i + 1) * span. A target >= C gives loss 0.
//
// x: [rows, classes]; targets: [rows]; stats: [rows, 2] takes m and log(s); part: [parts].
// One invocation a part, or one workgroup with the condition WORKGROUP.

import package::shared::finite::greatest;
import package::shared::index::{Group, group_index};
import package::shared::math::{exp_below, ln_of};
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};
import package::loss::scores::score_of;

struct Params {
    rows: u32,
    classes: u32,
    span: u32,
    parts: u32,
    smoothing: f32,
    sharpness: f32,
}

override KIND: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;
@group(0) @binding(3) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn score(i: u32) -> f32 {
    return score_of(KIND, p.sharpness, x[i]);
}

fn row_loss(r: u32, first: u32, at: Place) -> f32 {
    let base = r * p.classes;
    var largest = score(base);
    for (var c = first; c < p.classes; c += LANES) {
        largest = greatest(largest, score(base + c));
    }
    largest = row_max(largest, at);
    // Twice what each class takes by smoothing: half a difference of scores is a number, whatever they are.
    let even = 2.0 * (p.smoothing / f32(p.classes));
    // Chains of 64 keep the rounding of long rows small.
    var exponentials = 0.0;
    var shifted = 0.0;
    for (var block = first; block < p.classes; block += 64u * LANES) {
        var sums = vec2<f32>(0.0);
        for (var c = block; c < min(block + 64u * LANES, p.classes); c += LANES) {
            let z = score(base + c);
            sums += vec2(exp_below(z - largest), (0.5 * z - 0.5 * largest) * even);
        }
        exponentials += sums.x;
        shifted += sums.y;
    }
    let log_sum = ln_of(row_sum(exponentials, at));
    if p.smoothing > 0.0 {
        shifted = row_sum(shifted, at);
    }
    if first == 0u {
        stats[2u * r] = largest;
        stats[2u * r + 1u] = log_sum;
    }
    let t = targets[r];
    if t >= p.classes {
        return 0.0;
    }
    var loss = log_sum - (1.0 - p.smoothing) * (score(base + t) - largest);
    // Without smoothing a class of -infinity is none: not 0 times its logit.
    if p.smoothing > 0.0 {
        loss -= shifted;
    }
    return loss;
}

@compute @workgroup_size(RANGE)
fn cross_entropy(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let place = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let place = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let i = group_index(at);
    @if(!WORKGROUP) let i = group_index(at) * RANGE + local;
    if i >= p.parts {
        return;
    }
    var total = 0.0;
    for (var r = i * p.span; r < min((i + 1u) * p.span, p.rows); r++) {
        total += row_loss(r, local % LANES, place);
    }
    if local % LANES == 0u {
        part[i] = total;
    }
}
