// o[r] = sum over seen keys j of P[r, j] v[j],   P = softmax of q[r].k[j]
//
// order: rows (attention/gated.wgsl); q, k, v: compact rows [B, H, S, quads], q scaled; o: likewise, output;
// stats: [2, B, H, S], output: log of the sum of exponentials of each row in the first half (NEVER
// where no key is seen).
//
// Registers: one invocation four queries of a head. It streams the keys that any of them sees, the
// anchors first, in blocks of KEYS with a running maximum. No barrier. A block of 4 x 8 pairs reads 4 rows
// of q, 8 of k, 8 of v, and reads and writes 4 of o: 3.5 d bytes and 4 d operations a pair.
//
// TILED: a workgroup 32 queries of a head and SLICE vectors of channels. It takes the keys in tiles of 32
// (attention/pairs.wgsl) with a running maximum, a row's eight invocations each with a sum of its own until
// the end; what it adds up stays in registers. A tile of 32 x 32 pairs reads 32 rows each of q, k and v:
// 0.375 d bytes a pair, and 3.5 d bytes a pair of workgroup memory. A wider head has its scores computed
// once a slice. For d = 64: 7 barriers a tile.

import package::shared::finite::{greatest_four, keep_nan, keep_nan_four, nan_where};
import package::attention::gated::{
    Queries, p, order, queries_at, queries_between, part_of, see_any, seen_by, weighted, weighted_seen,
};
import package::shared::index::{Group, group_index};
import package::shared::math::{exp_below_four, ln_of};
import package::attention::pairs::{
    q, k, v, TILE, INVOCATIONS, STRETCH, Q, K, V, share_of, products, put_weights, scaled, add_sums,
};

override WG: u32 = 64u;

const KEYS: u32 = 8u;
// Stands for the score of a key that is not seen: below every score.
const NEVER: f32 = -3.4028234e38;

@group(0) @binding(4) var<storage, read_write> o: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> stats: array<f32>;

fn log_of_sum(highest: f32, sum: f32) -> f32 {
    if sum > 0.0 {
        return highest + ln_of(sum);
    }
    return keep_nan(sum, NEVER);
}

// The sums of exponentials: none is NaN where scores are all -infinity.
fn checked(sum: vec4<f32>, t: Queries) -> vec4<f32> {
    return nan_where(sum, (sum == vec4<f32>(0.0)) & see_any(t));
}

// What turns a row's sum of weighted values into its output.
fn factor_of(sum: vec4<f32>) -> vec4<f32> {
    let factor = 1.0 / max(sum, vec4<f32>(1e-30));
    return keep_nan_four(sum, select(vec4<f32>(0.0), factor, sum > vec4<f32>(0.0)));
}

@if(!TILED) @compute @workgroup_size(WG)
fn attention_forward(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG + local;
    let tiles = (p.steps + 3u) / 4u;
    let t = queries_at(item / tiles, item % tiles);
    if !t.some {
        return;
    }
    let place = (t.head + t.rows) * p.quads;
    var highest = vec4<f32>(NEVER);
    var sum = vec4<f32>(0.0);
    var started = false;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(t, part);
        for (var key = range.x; key < range.y; key += KEYS) {
            var s = array<vec4<f32>, KEYS>();
            for (var c = 0u; c < p.quads; c++) {
                let block = mat4x4<f32>(q[place.x + c], q[place.y + c], q[place.z + c], q[place.w + c]);
                for (var j = 0u; j < KEYS; j++) {
                    s[j] += k[(t.head + min(key + j, range.y - 1u)) * p.quads + c] * block;
                }
            }
            var top = highest;
            var seen: array<vec4<bool>, KEYS>;
            var by_all = true;
            for (var j = 0u; j < KEYS; j++) {
                seen[j] = seen_by(t, key + j, range.y);
                by_all &= all(seen[j]);
                s[j] = select(vec4<f32>(NEVER), s[j], seen[j]);
                top = greatest_four(top, s[j]);
            }
            let keep = exp_below_four(highest - top);
            highest = top;
            sum *= keep;
            for (var j = 0u; j < KEYS; j++) {
                s[j] = select(exp_below_four(s[j] - top), vec4<f32>(0.0), s[j] == vec4<f32>(NEVER));
                sum += s[j];
            }
            for (var c = 0u; c < p.quads; c++) {
                var acc = mat4x4<f32>();
                if started {
                    acc = mat4x4<f32>(
                        o[place.x + c] * keep.x, o[place.y + c] * keep.y,
                        o[place.z + c] * keep.z, o[place.w + c] * keep.w,
                    );
                }
                for (var j = 0u; j < KEYS; j++) {
                    let x = v[(t.head + min(key + j, range.y - 1u)) * p.quads + c];
                    if by_all {
                        acc += weighted(x, s[j]);
                    } else {
                        acc += weighted_seen(x, s[j], seen[j]);
                    }
                }
                o[place.x + c] = acc[0];
                o[place.y + c] = acc[1];
                o[place.z + c] = acc[2];
                o[place.w + c] = acc[3];
            }
            started = true;
        }
    }
    sum = checked(sum, t);
    let factor = factor_of(sum);
    for (var c = 0u; c < p.quads; c++) {
        var acc = mat4x4<f32>();
        if started {
            acc = mat4x4<f32>(o[place.x + c], o[place.y + c], o[place.z + c], o[place.w + c]);
        }
        o[place.x + c] = acc[0] * factor.x;
        o[place.y + c] = acc[1] * factor.y;
        o[place.z + c] = acc[2] * factor.z;
        o[place.w + c] = acc[3] * factor.w;
    }
    for (var i = 0u; i < 4u; i++) {
        stats[t.head + t.rows[i]] = log_of_sum(highest[i], sum[i]);
    }
}

// A vector of each invocation.
var<workgroup> lanes: array<vec4<f32>, INVOCATIONS>;

// The highest of the eight invocations that have the same rows.
fn highest_of_row(local: u32, x: vec4<f32>) -> vec4<f32> {
    lanes[local] = x;
    workgroupBarrier();
    var top = x;
    for (var i = 0u; i < 8u; i++) {
        top = greatest_four(top, lanes[local / 8u * 8u + i]);
    }
    return top;
}

// Their sum.
fn sum_of_row(local: u32, x: vec4<f32>) -> vec4<f32> {
    lanes[local] = x;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < 8u; i++) {
        sum += lanes[local / 8u * 8u + i];
    }
    return sum;
}

@if(TILED) @compute @workgroup_size(INVOCATIONS)
fn attention_forward(at: Group, @builtin(local_invocation_index) local: u32) {
    let t = share_of(group_index(at));
    if !t.some {
        return;
    }
    let head = t.bh * p.steps;
    let rows = vec2<u32>(head + t.first, head + t.count);
    let span = queries_between(t.bh, t.first, min(t.first + TILE, t.count) - 1u);
    let mine = queries_at(t.bh, t.first / 4u + local / 8u);
    var highest = vec4<f32>(NEVER);
    var sum = vec4<f32>(0.0);
    var near: array<mat4x4<f32>, 2>;
    var far: array<mat4x4<f32>, 2>;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(span, part);
        for (var key = range.x; key < range.y; key += TILE) {
            let columns = vec2<u32>(head + key, head + range.y);
            var s = products(local, Q, rows, K, columns);
            var top = highest;
            for (var n = 0u; n < 4u; n++) {
                let seen = seen_by(mine, key + local % 8u + 8u * n, range.y);
                s[n] = select(vec4<f32>(NEVER), s[n], seen);
                top = greatest_four(top, s[n]);
            }
            top = highest_of_row(local, top);
            let keep = exp_below_four(highest - top);
            highest = top;
            sum *= keep;
            for (var n = 0u; n < 4u; n++) {
                s[n] = select(exp_below_four(s[n] - top), vec4<f32>(0.0), s[n] == vec4<f32>(NEVER));
                sum += s[n];
            }
            put_weights(local, s);
            for (var n = 0u; n < 2u; n++) {
                near[n] = scaled(near[n], keep);
                far[n] = scaled(far[n], keep);
            }
            add_sums(local, V, columns, t.c0, mine, &near);
            if t.c0 + STRETCH < p.quads {
                add_sums(local, V, columns, t.c0 + STRETCH, mine, &far);
            }
        }
    }
    sum = checked(sum_of_row(local, sum), mine);
    let factor = factor_of(sum);
    for (var i = 0u; i < 4u; i++) {
        let row = rows.x + local / 8u * 4u + i;
        if row < rows.y {
            for (var n = 0u; n < 2u; n++) {
                let c = t.c0 + local % 8u + 8u * n;
                if c < p.quads {
                    o[row * p.quads + c] = near[n][i] * factor[i];
                }
                if c + STRETCH < p.quads {
                    o[row * p.quads + c + STRETCH] = far[n][i] * factor[i];
                }
            }
            if t.c0 == 0u && local % 8u == 0u {
                stats[row] = log_of_sum(highest[i], sum[i]);
            }
        }
    }
}
