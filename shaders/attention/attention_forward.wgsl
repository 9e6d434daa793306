// o[r] = sum over seen keys j of P[r, j] v[j],   P = softmax of q[r].k[j]
//
// order: rows (shared/gated.wgsl); q, k, v: compact rows [B, H, S, quads], q scaled; o: likewise, output;
// stats: [2, B, H, S], output: log of the sum of exponentials of each row in the first half (-1e30
// where no key is seen).
// One invocation four queries of a head: it streams the keys that any of them sees, the anchors first,
// in blocks of KEYS with a running maximum. No barrier.

import package::shared::gated::{p, order, queries_at, part_of, seen_by};
import package::shared::index::item_index;
import package::shared::math::{exp_of_four, ln_of};

override WG: u32 = 64u;

const KEYS: u32 = 8u;
// Stands for the score of a key that is not seen.
const NEVER: f32 = -1e30;

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> o: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> stats: array<f32>;

fn log_of_sum(highest: f32, sum: f32) -> f32 {
    if sum > 0.0 {
        return highest + ln_of(sum);
    }
    return NEVER;
}

@compute @workgroup_size(WG)
fn attention_forward(
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
    var highest = vec4<f32>(NEVER);
    var sum = vec4<f32>(0.0);
    var started = false;
    for (var part = 0u; part < 2u; part++) {
        let range = part_of(t, part);
        for (var key = range.x; key < range.y; key += KEYS) {
            var s = array<vec4<f32>, KEYS>();
            for (var c = 0u; c < p.quads; c++) {
                let block = mat4x4<f32>(q[at.x + c], q[at.y + c], q[at.z + c], q[at.w + c]);
                for (var j = 0u; j < KEYS; j++) {
                    s[j] += k[(t.head + min(key + j, range.y - 1u)) * p.quads + c] * block;
                }
            }
            var top = highest;
            for (var j = 0u; j < KEYS; j++) {
                let seen = seen_by(t, key + j, range.y);
                s[j] = select(vec4<f32>(NEVER), s[j], seen);
                top = max(top, s[j]);
            }
            let keep = exp_of_four(highest - top);
            highest = top;
            sum *= keep;
            for (var j = 0u; j < KEYS; j++) {
                s[j] = select(exp_of_four(s[j] - top), vec4<f32>(0.0), s[j] == vec4<f32>(NEVER));
                sum += s[j];
            }
            for (var c = 0u; c < p.quads; c++) {
                var acc = mat4x4<f32>();
                if started {
                    acc = mat4x4<f32>(
                        o[at.x + c] * keep.x, o[at.y + c] * keep.y,
                        o[at.z + c] * keep.z, o[at.w + c] * keep.w,
                    );
                }
                for (var j = 0u; j < KEYS; j++) {
                    let x = v[(t.head + min(key + j, range.y - 1u)) * p.quads + c];
                    acc += mat4x4<f32>(x * s[j].x, x * s[j].y, x * s[j].z, x * s[j].w);
                }
                o[at.x + c] = acc[0];
                o[at.y + c] = acc[1];
                o[at.z + c] = acc[2];
                o[at.w + c] = acc[3];
            }
            started = true;
        }
    }
    let factor = select(vec4<f32>(0.0), 1.0 / max(sum, vec4<f32>(1e-30)), sum > vec4<f32>(0.0));
    for (var c = 0u; c < p.quads; c++) {
        var acc = mat4x4<f32>();
        if started {
            acc = mat4x4<f32>(o[at.x + c], o[at.y + c], o[at.z + c], o[at.w + c]);
        }
        o[at.x + c] = acc[0] * factor.x;
        o[at.y + c] = acc[1] * factor.y;
        o[at.z + c] = acc[2] * factor.z;
        o[at.w + c] = acc[3] * factor.w;
    }
    for (var i = 0u; i < 4u; i++) {
        stats[t.head + t.rows[i]] = log_of_sum(highest[i], sum[i]);
    }
}
