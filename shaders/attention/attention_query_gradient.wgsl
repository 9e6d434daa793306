// gq[r] = sum over seen keys j of dS[r, j] k[j],   dS = P (go[r].v[j] - delta[r]),   P = exp(q[r].k[j] - lse[r])
//
// order: rows (attention/gated.wgsl); q, k, v, go: compact rows [B, H, S, quads]; stats: [2, B, H, S], lse
// and delta; gq: compact rows, output: the gradient of the scaled, turned q.
//
// Registers: one invocation four queries of a head. It streams the keys that any of them sees in blocks
// of KEYS. No barrier. A block of 4 x 4 pairs reads 4 rows each of q, go, k, v and again k, and reads and
// writes 4 of gq: 7 d bytes and 6 d operations a pair.
//
// TILED: a workgroup 32 queries of a head and SLICE vectors of channels. It takes the keys in tiles of 32
// (attention/pairs.wgsl); what it adds up stays in registers. A tile of 32 x 32 pairs reads 32 rows each of
// q, k, go, v and again k: 0.625 d bytes a pair, and 5.5 d bytes a pair of workgroup memory. A wider head
// has its weights computed once a slice. For d = 64: 10 barriers a tile.

import package::attention::gated::{
    p, order, queries_at, queries_between, part_of, seen_by, weighted, weighted_seen,
};
import package::shared::index::{Group, group_index};
import package::shared::math::exp_below_four;
import package::attention::pairs::{
    q, k, v, go, TILE, INVOCATIONS, STRETCH, Q, K, V, GO, share_of, products, put_weights, add_sums,
};

override WG: u32 = 64u;

const KEYS: u32 = 4u;

@group(0) @binding(5) var<storage, read> stats: array<f32>;
@group(0) @binding(6) var<storage, read_write> gq: array<vec4<f32>>;

fn four(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(stats[at.x], stats[at.y], stats[at.z], stats[at.w]);
}

@if(!TILED) @compute @workgroup_size(WG)
fn attention_query_gradient(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG + local;
    let tiles = (p.steps + 3u) / 4u;
    let t = queries_at(item / tiles, item % tiles);
    if !t.some {
        return;
    }
    let place = (t.head + t.rows) * p.quads;
    let lse = four(t.head + t.rows);
    let delta = four(p.batch * p.heads * p.steps + t.head + t.rows);
    var started = false;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(t, part);
        for (var key = range.x; key < range.y; key += KEYS) {
            var s = array<vec4<f32>, KEYS>();
            var dp = array<vec4<f32>, KEYS>();
            for (var c = 0u; c < p.quads; c++) {
                let block = mat4x4<f32>(q[place.x + c], q[place.y + c], q[place.z + c], q[place.w + c]);
                let above = mat4x4<f32>(go[place.x + c], go[place.y + c], go[place.z + c], go[place.w + c]);
                for (var j = 0u; j < KEYS; j++) {
                    let row = (t.head + min(key + j, range.y - 1u)) * p.quads + c;
                    s[j] += k[row] * block;
                    dp[j] += v[row] * above;
                }
            }
            var seen: array<vec4<bool>, KEYS>;
            var by_all = true;
            for (var j = 0u; j < KEYS; j++) {
                seen[j] = seen_by(t, key + j, range.y);
                by_all &= all(seen[j]);
                s[j] = select(vec4<f32>(0.0), exp_below_four(s[j] - lse) * (dp[j] - delta), seen[j]);
            }
            for (var c = 0u; c < p.quads; c++) {
                var acc = mat4x4<f32>();
                if started {
                    acc = mat4x4<f32>(gq[place.x + c], gq[place.y + c], gq[place.z + c], gq[place.w + c]);
                }
                for (var j = 0u; j < KEYS; j++) {
                    let x = k[(t.head + min(key + j, range.y - 1u)) * p.quads + c];
                    if by_all {
                        acc += weighted(x, s[j]);
                    } else {
                        acc += weighted_seen(x, s[j], seen[j]);
                    }
                }
                gq[place.x + c] = acc[0];
                gq[place.y + c] = acc[1];
                gq[place.z + c] = acc[2];
                gq[place.w + c] = acc[3];
            }
            started = true;
        }
    }
    if !started {
        for (var c = 0u; c < p.quads; c++) {
            for (var i = 0u; i < 4u; i++) {
                gq[place[i] + c] = vec4<f32>(0.0);
            }
        }
    }
}

@if(TILED) @compute @workgroup_size(INVOCATIONS)
fn attention_query_gradient(at: Group, @builtin(local_invocation_index) local: u32) {
    let t = share_of(group_index(at));
    if !t.some {
        return;
    }
    let head = t.bh * p.steps;
    let rows = vec2<u32>(head + t.first, head + t.count);
    let span = queries_between(t.bh, t.first, min(t.first + TILE, t.count) - 1u);
    let mine = queries_at(t.bh, t.first / 4u + local / 8u);
    let lse = four(head + mine.rows);
    let delta = four(p.batch * p.heads * p.steps + head + mine.rows);
    var near: array<mat4x4<f32>, 2>;
    var far: array<mat4x4<f32>, 2>;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(span, part);
        for (var key = range.x; key < range.y; key += TILE) {
            let columns = vec2<u32>(head + key, head + range.y);
            var s = products(local, Q, rows, K, columns);
            let dp = products(local, GO, rows, V, columns);
            for (var n = 0u; n < 4u; n++) {
                let seen = seen_by(mine, key + local % 8u + 8u * n, range.y);
                s[n] = select(vec4<f32>(0.0), exp_below_four(s[n] - lse) * (dp[n] - delta), seen);
            }
            put_weights(local, s);
            add_sums(local, K, columns, t.c0, mine, &near);
            if t.c0 + STRETCH < p.quads {
                add_sums(local, K, columns, t.c0 + STRETCH, mine, &far);
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let row = rows.x + local / 8u * 4u + i;
        if row < rows.y {
            for (var n = 0u; n < 2u; n++) {
                let c = t.c0 + local % 8u + 8u * n;
                if c < p.quads {
                    gq[row * p.quads + c] = near[n][i];
                }
                if c + STRETCH < p.quads {
                    gq[row * p.quads + c + STRETCH] = far[n][i];
                }
            }
        }
    }
}
