// For each matrix, with S = s^2 X X^T and a bound b >= its largest eigenvalue:  M = p I + q S with
// (p, q) = (w, 1) / (w + b), w = (s c)^2, so that M = (I + X X^T / c^2) / alpha, alpha = 1 + b / w;
// plan = the coefficients of every product of the iteration. b = min(max_i sum_j |S_ij|, ||S||_F), or
// the root of that for S S (QUINTIC). w is at least `least` b: below, rounding makes eigenvalues
// negative, and the iteration lets those grow.
//
// rows: [entries, m] pairs of `gram_rows` for S or S S; stats: [entries] of `matrix_scale`; schedules:
// [grid, most] of (a, b, c, 1), or zeros where fewer than `most` iterations are made: row j holds those
// for alpha <= 2^j; start: [entries, 2] vectors: (p, q, r, 0), r what the outcome is multiplied with,
// and the coefficients of (I, S, S S) in the first Q; plan: [entries, launches, 2] coefficients (u, v, w,
// x) of the two parts of each product C = u I + v A + x B + w A B.
// Classic (QUINTIC off), 2 products an iteration:  U = 1.5 M - .5 M M;  (M, Z) <- 1.5 (U, Z) - .5 (U,
// Z) M.  QUINTIC, 3 products:  Q = a I + b M + c M M, the first made from `start`;  (N, Z) <- (M, Z) Q;
// M <- N Q.  Z starts as I; the last iteration makes Z alone, times sqrt(w / (w + b)), so that it ends
// below 1; r = c / sqrt(w), over 1 + margin sqrt(alpha).
// One invocation a matrix, or one workgroup with the condition WORKGROUP.

import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_sum, row_max};

struct Params {
    entries: u32,
    m: u32,
    grid: u32,
    most: u32,
    least: f32,
    margin: f32,
}

override QUINTIC: bool = false;

@group(0) @binding(0) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> schedules: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> start: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> plan: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

// The first row of the grid whose power of two is not below alpha = total / w, but for rounding: where
// w is all of the total, alpha is 1.
fn grid_row(w: f32, total: f32) -> u32 {
    var j = 0u;
    var reach = w;
    // 1 - 2^-20
    let least = total * 0.99999904632568359375;
    while j + 1u < p.grid && reach < least {
        j++;
        reach *= 2.0;
    }
    return j;
}

// The coefficients of iteration i, whose last product is scaled by `scale`.
fn write_iteration(e: u32, i: u32, now: vec4<f32>, first: bool, scale: f32) {
    let last = i + 1u == p.most;
    let products = select(2u, 3u, QUINTIC);
    let at = (e * p.most + i) * products * 2u;
    let none = vec4<f32>(0.0);
    for (var k = 0u; k < 2u * products; k++) {
        plan[at + k] = none;
    }
    if now.w == 0.0 {
        return;
    }
    let factor = select(1.0, scale, last);
    if QUINTIC {
        plan[at] = select(vec4<f32>(now.xyz, 0.0), none, first);
        plan[at + 3u] = factor * select(vec4<f32>(0.0, 0.0, 1.0, 0.0), vec4<f32>(0.0, 0.0, 0.0, 1.0), first);
        if !last {
            plan[at + 2u] = vec4<f32>(0.0, 0.0, 1.0, 0.0);
            plan[at + 4u] = vec4<f32>(0.0, 0.0, 1.0, 0.0);
        }
    } else {
        let step = vec4<f32>(0.0, 1.5, -0.5, 0.0);
        plan[at + 3u] = factor * select(step, vec4<f32>(1.5, 0.0, 0.0, -0.5), first);
        if !last {
            plan[at] = step;
            plan[at + 2u] = step;
        }
    }
}

@compute @workgroup_size(RANGE)
fn clip_plan(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let place = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let place = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let e = group_index(at);
    @if(!WORKGROUP) let e = group_index(at) * RANGE + local;
    if e >= p.entries {
        return;
    }
    var widest = 0.0;
    var squares = 0.0;
    for (var i = local % LANES; i < p.m; i += LANES) {
        let row = rows[e * p.m + i];
        widest = max(widest, row.x);
        squares += row.y;
    }
    widest = row_max(widest, place);
    squares = row_sum(squares, place);
    var bound = min(widest, sqrt(squares));
    if QUINTIC {
        bound = sqrt(bound);
    }
    let w = max(stats[e].z * stats[e].z, p.least * bound);
    let total = w + bound;
    let scale = sqrt(w / total);
    let s = stats[e].x;
    let shift = w / total;
    let slope = 1.0 / total;
    if local % LANES == 0u {
        let outer = select(stats[e].w / sqrt(w), 0.0, s == 0.0) / (1.0 + p.margin / sqrt(shift));
        start[2u * e] = vec4<f32>(shift, slope, outer, 0.0);
    }
    let j = grid_row(w, total);
    for (var i = local % LANES; i < p.most; i += LANES) {
        let now = schedules[j * p.most + i];
        var first = i == 0u;
        if i > 0u {
            first = schedules[j * p.most + i - 1u].w == 0.0;
        }
        write_iteration(e, i, now, first, scale);
        if QUINTIC && first && now.w != 0.0 {
            start[2u * e + 1u] = vec4<f32>(
                now.x + shift * (now.y + shift * now.z), slope * (now.y + 2.0 * shift * now.z),
                slope * slope * now.z, 0.0,
            );
        }
    }
}
