// gv[j] = sum over queries r that see j of P[r, j] go[r],   gk[j] = sum of dS[r, j] q[r]
// with P = exp(q[r].k[j] - lse[r]),   dS = P (go[r].v[j] - delta[r])
//
// order: rows (shared/gated.wgsl); q, k, v, go: compact rows [B, H, S, quads]; stats: [2, B, H, S], lse
// and delta; gk, gv: compact rows, output, followed by parts [segments, B, H, anchors] of the sums of
// anchors.
// One invocation four keys of a head: it streams the queries whose window holds any of them in blocks
// of QUERIES. The queries beyond, which see anchors only, are split into segments, each an invocation
// of its own that writes a part (without segments they are streamed with the rest). No barrier.

import package::shared::gated::{
    p, order, keys_of, queries_of, open_before, open_count, position_of, four_rows,
};
import package::shared::index::item_index;
import package::shared::math::exp_of_four;

override WG: u32 = 64u;

const QUERIES: u32 = 4u;

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> go: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> stats: array<f32>;
@group(0) @binding(6) var<storage, read_write> gk: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> gv: array<vec4<f32>>;

// What one invocation works on: keys [first, count) of head bh, output from row `out` on.
struct Task {
    bh: u32,
    first: u32,
    count: u32,
    out: u32,
    // The segment, or `segments` for the window.
    segment: u32,
}

fn task_of(item: u32) -> Task {
    let heads = p.batch * p.heads;
    let tiles = (p.steps + 3u) / 4u;
    if item < heads * tiles {
        let bh = item / tiles;
        return Task(bh, item % tiles * 4u, open_count(keys_of(bh)), bh * p.steps, p.segments);
    }
    let anchor_tiles = max((p.anchors + 3u) / 4u, 1u);
    let e = item - heads * tiles;
    let bh = e / anchor_tiles % heads;
    let segment = e / anchor_tiles / heads;
    if segment >= p.segments {
        return Task(0u, 0u, 0u, 0u, 0u);
    }
    let out = heads * p.steps + (segment * heads + bh) * p.anchors;
    return Task(bh, e % anchor_tiles * 4u, open_before(keys_of(bh), p.anchors), out, segment);
}

// The queries [x, y) that key row `row` is summed over.
fn readers(t: Task, keys: u32, queries: u32, row: u32) -> vec2<u32> {
    let j = position_of(keys, row);
    let beyond = open_before(queries, j + p.window + 1u);
    let count = open_count(queries);
    if t.segment < p.segments {
        let stretch = (count + p.segments - 1u) / p.segments;
        let start = t.segment * stretch;
        return vec2<u32>(max(beyond, start), min(start + stretch, count));
    }
    let all = p.segments == 0u && j < p.anchors;
    return vec2<u32>(open_before(queries, j), select(beyond, count, all));
}

@compute @workgroup_size(WG)
fn attention_key_gradient(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let t = task_of(item_index(group, groups, local, WG));
    if t.first >= t.count {
        return;
    }
    let keys = keys_of(t.bh);
    let queries = queries_of(t.bh);
    let rows = four_rows(t.first, t.count);
    let a = readers(t, keys, queries, rows.x);
    let b = readers(t, keys, queries, rows.y);
    let c = readers(t, keys, queries, rows.z);
    let d = readers(t, keys, queries, rows.w);
    let low = vec4<u32>(a.x, b.x, c.x, d.x);
    let high = vec4<u32>(a.y, b.y, c.y, d.y);
    let start = min(min(low.x, low.y), min(low.z, low.w));
    let end = max(max(high.x, high.y), max(high.z, high.w));
    let head = t.bh * p.steps;
    let deltas = p.batch * p.heads * p.steps + head;
    let at = (vec4<u32>(head) + rows) * p.quads;
    let out = (vec4<u32>(t.out) + rows) * p.quads;
    for (var c = 0u; c < p.quads; c++) {
        for (var i = 0u; i < 4u; i++) {
            gk[out[i] + c] = vec4<f32>(0.0);
            gv[out[i] + c] = vec4<f32>(0.0);
        }
    }
    for (var query = start; query < end; query += QUERIES) {
        var s = array<vec4<f32>, QUERIES>();
        var ds = array<vec4<f32>, QUERIES>();
        for (var c = 0u; c < p.quads; c++) {
            let block = mat4x4<f32>(k[at.x + c], k[at.y + c], k[at.z + c], k[at.w + c]);
            let values = mat4x4<f32>(v[at.x + c], v[at.y + c], v[at.z + c], v[at.w + c]);
            for (var j = 0u; j < QUERIES; j++) {
                let row = (head + min(query + j, end - 1u)) * p.quads + c;
                s[j] += q[row] * block;
                ds[j] += go[row] * values;
            }
        }
        for (var j = 0u; j < QUERIES; j++) {
            let r = min(query + j, end - 1u);
            let seen = (vec4<u32>(query + j) >= low) & (vec4<u32>(query + j) < high);
            s[j] = select(vec4<f32>(0.0), exp_of_four(s[j] - stats[head + r]), seen);
            ds[j] = s[j] * (ds[j] - stats[deltas + r]);
        }
        for (var c = 0u; c < p.quads; c++) {
            var sum_k = mat4x4<f32>(gk[out.x + c], gk[out.y + c], gk[out.z + c], gk[out.w + c]);
            var sum_v = mat4x4<f32>(gv[out.x + c], gv[out.y + c], gv[out.z + c], gv[out.w + c]);
            for (var j = 0u; j < QUERIES; j++) {
                let row = (head + min(query + j, end - 1u)) * p.quads + c;
                let x = q[row];
                let y = go[row];
                sum_k += mat4x4<f32>(x * ds[j].x, x * ds[j].y, x * ds[j].z, x * ds[j].w);
                sum_v += mat4x4<f32>(y * s[j].x, y * s[j].y, y * s[j].z, y * s[j].w);
            }
            for (var i = 0u; i < 4u; i++) {
                gk[out[i] + c] = sum_k[i];
                gv[out[i] + c] = sum_v[i];
            }
        }
    }
}
