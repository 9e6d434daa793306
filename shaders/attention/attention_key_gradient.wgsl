// gv[j] = sum over queries r that see j of P[r, j] go[r],   gk[j] = sum of dS[r, j] q[r]
// with P = exp(q[r].k[j] - lse[r]),   dS = P (go[r].v[j] - delta[r])
//
// order: rows (attention/gated.wgsl); q, k, v, go: compact rows [B, H, S, quads]; stats: [2, B, H, S], lse
// and delta; gk, gv: compact rows, output, followed by parts [segments, B, H, anchors] of the sums of
// anchors.
// KEYS neighbouring keys of a head are one task: the queries whose window holds any of them. The queries
// beyond, which see anchors only, are split into segments, each a task of its own that writes a part
// (without segments they are taken with the rest).
//
// Registers: a task an invocation, which streams the queries in blocks of QUERIES. No barrier. A block of
// 4 x 4 pairs reads 4 rows each of q, go, k, v and again q, go, and reads and writes 4 each of gk, gv:
// 10 d bytes and 8 d operations a pair.
//
// TILED: a task a workgroup for each STRETCH vectors of channels. It takes the queries in tiles of 32
// (attention/pairs.wgsl); what it adds up stays in registers. A tile of 32 x 32 pairs reads 32 rows each of
// k, q, v, go and again go, q: 0.75 d bytes a pair, and 7 d bytes a pair of workgroup memory. A wider head
// than 64 channels has its weights computed once a stretch. For d = 64: 13 barriers a tile.

import package::attention::gated::{
    Queries, p, order, keys_of, queries_of, open_before, open_count, position_of, four_rows, weighted,
    weighted_seen,
};
import package::shared::index::{Group, group_index};
import package::shared::math::exp_below_four;
import package::attention::pairs::{
    q, k, v, go, TILE, INVOCATIONS, STRETCH, Q, K, V, GO, products, put_weights, add_sums,
};

override WG: u32 = 64u;

const QUERIES: u32 = 4u;
// The keys of a task.
@if(!TILED) const KEYS: u32 = 4u;
@if(TILED) const KEYS: u32 = TILE;

@group(0) @binding(5) var<storage, read> stats: array<f32>;
@group(0) @binding(6) var<storage, read_write> gk: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> gv: array<vec4<f32>>;

// What is worked on: keys from `first` on of `count` of head bh, output from row `out` on.
struct Task {
    bh: u32,
    first: u32,
    count: u32,
    out: u32,
    // The segment, or `segments` for the window.
    segment: u32,
}

// Of items beyond the last it has no keys.
fn task_of(item: u32) -> Task {
    var found: Task;
    let heads = p.batch * p.heads;
    let tiles = (p.steps + KEYS - 1u) / KEYS;
    if item < heads * tiles {
        let bh = item / tiles;
        found = Task(bh, item % tiles * KEYS, open_count(keys_of(bh)), bh * p.steps, p.segments);
    } else {
        let anchor_tiles = max((p.anchors + KEYS - 1u) / KEYS, 1u);
        let e = item - heads * tiles;
        let bh = e / anchor_tiles % heads;
        let segment = e / anchor_tiles / heads;
        if segment < p.segments {
            let out = heads * p.steps + (segment * heads + bh) * p.anchors;
            let count = open_before(keys_of(bh), p.anchors);
            found = Task(bh, e % anchor_tiles * KEYS, count, out, segment);
        }
    }
    return found;
}

// The queries [x, y) that key row `row` is summed over.
fn readers(t: Task, keys: u32, queries: u32, row: u32) -> vec2<u32> {
    let j = position_of(keys, row);
    let beyond = open_before(queries, j + p.window + 1u);
    let count = open_count(queries);
    var range: vec2<u32>;
    if t.segment < p.segments {
        let stretch = (count + p.segments - 1u) / p.segments;
        let start = t.segment * stretch;
        range = vec2<u32>(max(beyond, start), min(start + stretch, count));
    } else {
        let all = p.segments == 0u && j < p.anchors;
        range = vec2<u32>(open_before(queries, j), select(beyond, count, all));
    }
    return range;
}

@if(!TILED) @compute @workgroup_size(WG)
fn attention_key_gradient(at: Group, @builtin(local_invocation_index) local: u32) {
    let t = task_of(group_index(at) * WG + local);
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
    let place = (vec4<u32>(head) + rows) * p.quads;
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
            let block = mat4x4<f32>(k[place.x + c], k[place.y + c], k[place.z + c], k[place.w + c]);
            let values = mat4x4<f32>(v[place.x + c], v[place.y + c], v[place.z + c], v[place.w + c]);
            for (var j = 0u; j < QUERIES; j++) {
                let row = (head + min(query + j, end - 1u)) * p.quads + c;
                s[j] += q[row] * block;
                ds[j] += go[row] * values;
            }
        }
        var seen: array<vec4<bool>, QUERIES>;
        var by_all = true;
        for (var j = 0u; j < QUERIES; j++) {
            let r = min(query + j, end - 1u);
            seen[j] = (vec4<u32>(query + j) >= low) & (vec4<u32>(query + j) < high);
            by_all &= all(seen[j]);
            s[j] = select(vec4<f32>(0.0), exp_below_four(s[j] - stats[head + r]), seen[j]);
            ds[j] = select(vec4<f32>(0.0), s[j] * (ds[j] - stats[deltas + r]), seen[j]);
        }
        for (var c = 0u; c < p.quads; c++) {
            var sum_k = mat4x4<f32>(gk[out.x + c], gk[out.y + c], gk[out.z + c], gk[out.w + c]);
            var sum_v = mat4x4<f32>(gv[out.x + c], gv[out.y + c], gv[out.z + c], gv[out.w + c]);
            for (var j = 0u; j < QUERIES; j++) {
                let row = (head + min(query + j, end - 1u)) * p.quads + c;
                let x = q[row];
                let y = go[row];
                if by_all {
                    sum_k += weighted(x, ds[j]);
                    sum_v += weighted(y, s[j]);
                } else {
                    sum_k += weighted_seen(x, ds[j], seen[j]);
                    sum_v += weighted_seen(y, s[j], seen[j]);
                }
            }
            for (var i = 0u; i < 4u; i++) {
                gk[out[i] + c] = sum_k[i];
                gv[out[i] + c] = sum_v[i];
            }
        }
    }
}

@if(TILED) @compute @workgroup_size(INVOCATIONS)
fn attention_key_gradient(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at);
    let slices = (p.quads + STRETCH - 1u) / STRETCH;
    let c0 = item % slices * STRETCH;
    let t = task_of(item / slices);
    if t.first >= t.count {
        return;
    }
    let keys = keys_of(t.bh);
    let queries = queries_of(t.bh);
    // The first key has the lowest readers, and the last the highest, if not the first is an anchor.
    let lowest = readers(t, keys, queries, t.first);
    let highest = readers(t, keys, queries, min(t.first + KEYS, t.count) - 1u);
    let start = lowest.x;
    let end = max(lowest.y, highest.y);
    // Those of the invocation's own keys.
    let own = four_rows(t.first + local / 8u * 4u, t.count);
    let head = t.bh * p.steps;
    var mine: Queries;
    mine.head = head;
    for (var i = 0u; i < 4u; i++) {
        let range = readers(t, keys, queries, own[i]);
        mine.low[i] = range.x;
        mine.high[i] = range.y;
    }
    let deltas = p.batch * p.heads * p.steps + head;
    let rows = vec2<u32>(head + t.first, head + t.count);
    var sum_k: array<mat4x4<f32>, 2>;
    var sum_v: array<mat4x4<f32>, 2>;
    for (var query = start; query < end; query += TILE) {
        let columns = vec2<u32>(head + query, head + end);
        var s = products(local, K, rows, Q, columns);
        var ds = products(local, V, rows, GO, columns);
        for (var n = 0u; n < 4u; n++) {
            let column = query + local % 8u + 8u * n;
            let r = min(column, end - 1u);
            let seen = (vec4<u32>(column) >= mine.low) & (vec4<u32>(column) < mine.high);
            s[n] = select(vec4<f32>(0.0), exp_below_four(s[n] - stats[head + r]), seen);
            ds[n] = select(vec4<f32>(0.0), s[n] * (ds[n] - stats[deltas + r]), seen);
        }
        put_weights(local, s);
        add_sums(local, GO, columns, c0, mine, &sum_v);
        workgroupBarrier();
        put_weights(local, ds);
        add_sums(local, Q, columns, c0, mine, &sum_k);
    }
    for (var i = 0u; i < 4u; i++) {
        let row = t.first + local / 8u * 4u + i;
        if row < t.count {
            for (var n = 0u; n < 2u; n++) {
                let c = c0 + local % 8u + 8u * n;
                if c < p.quads {
                    gk[(t.out + row) * p.quads + c] = sum_k[n][i];
                    gv[(t.out + row) * p.quads + c] = sum_v[n][i];
                }
            }
        }
    }
}
