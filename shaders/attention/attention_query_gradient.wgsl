// gq[r] = sum over seen keys j of dS[r, j] k[j],   dS = P (go[r].v[j] - delta[r]),   P = exp(q[r].k[j] - lse[r])
//
// order: rows (shared/gated.wgsl); q, k, v, go: compact rows [B, H, S, quads]; stats: [2, B, H, S], lse
// and delta; gq: compact rows, output: the gradient of the scaled, turned q.
// One invocation four queries of a head: it streams the keys that any of them sees in blocks of KEYS.
// No barrier.

import package::shared::gated::{p, order, queries_at, part_of, seen_by};
import package::shared::index::item_index;
import package::shared::math::exp_of_four;

override WG: u32 = 64u;

const KEYS: u32 = 4u;

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> go: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> stats: array<f32>;
@group(0) @binding(6) var<storage, read_write> gq: array<vec4<f32>>;

fn four(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(stats[at.x], stats[at.y], stats[at.z], stats[at.w]);
}

@compute @workgroup_size(WG)
fn attention_query_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = item_index(group, groups, local, WG);
    let tiles = (p.steps + 3u) / 4u;
    let t = queries_at(item / tiles, item % tiles);
    if !t.some {
        return;
    }
    let at = (t.head + t.rows) * p.quads;
    let lse = four(t.head + t.rows);
    let delta = four(p.batch * p.heads * p.steps + t.head + t.rows);
    var started = false;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(t, part);
        for (var key = range.x; key < range.y; key += KEYS) {
            var s = array<vec4<f32>, KEYS>();
            var dp = array<vec4<f32>, KEYS>();
            for (var c = 0u; c < p.quads; c++) {
                let block = mat4x4<f32>(q[at.x + c], q[at.y + c], q[at.z + c], q[at.w + c]);
                let above = mat4x4<f32>(go[at.x + c], go[at.y + c], go[at.z + c], go[at.w + c]);
                for (var j = 0u; j < KEYS; j++) {
                    let row = (t.head + min(key + j, range.y - 1u)) * p.quads + c;
                    s[j] += k[row] * block;
                    dp[j] += v[row] * above;
                }
            }
            for (var j = 0u; j < KEYS; j++) {
                let seen = seen_by(t, key + j, range.y);
                s[j] = select(vec4<f32>(0.0), exp_of_four(s[j] - lse) * (dp[j] - delta), seen);
            }
            for (var c = 0u; c < p.quads; c++) {
                var acc = mat4x4<f32>();
                if started {
                    acc = mat4x4<f32>(gq[at.x + c], gq[at.y + c], gq[at.z + c], gq[at.w + c]);
                }
                for (var j = 0u; j < KEYS; j++) {
                    let x = k[(t.head + min(key + j, range.y - 1u)) * p.quads + c];
                    acc += mat4x4<f32>(x * s[j].x, x * s[j].y, x * s[j].z, x * s[j].w);
                }
                gq[at.x + c] = acc[0];
                gq[at.y + c] = acc[1];
                gq[at.z + c] = acc[2];
                gq[at.w + c] = acc[3];
            }
            started = true;
        }
    }
    if !started {
        for (var c = 0u; c < p.quads; c++) {
            for (var i = 0u; i < 4u; i++) {
                gq[at[i] + c] = vec4<f32>(0.0);
            }
        }
    }
}
