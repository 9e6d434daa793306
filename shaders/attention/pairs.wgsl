// What the kernels over pairs of a query and a key read, and 32 x 32 pairs as a tile of a workgroup.
//
// q, k, v, and go (condition BACKWARD): compact rows (attention/gated.wgsl).
// A tile has 32 rows, for each of which something is summed, and 32 columns, over which it is. Of its
// pairs, an invocation `local` of 64 has the rows 4 (local / 8) .. + 3 and the columns local % 8 + 8 n,
// n < 4: a vector of four rows for each n. Rows of channels are staged in workgroup memory, each once for
// all 32 that need it: 13.5 KiB with the weights of the pairs. Lines of 9 vectors keep eight invocations
// that read eight lines in different banks.

import package::shared::finite::any_not_finite;
import package::attention::gated::{
    Queries, p, queries_of, open_count, seen_by, weighted, weighted_seen,
};

@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@if(BACKWARD) @group(0) @binding(4) var<storage, read> go: array<vec4<f32>>;

// Rows, and columns, of a tile; invocations of its workgroup.
const TILE: u32 = 32u;
const INVOCATIONS: u32 = 64u;
// Vectors of channels that are staged at a time: of rows and columns, for their products; of columns, for
// sums over them.
const DEPTH: u32 = 8u;
const STRETCH: u32 = 16u;

// Vectors of channels that a workgroup sums over keys.
const SLICE: u32 = 2u * STRETCH;

// Vectors of a staged line, and the first of the columns.
const PITCH: u32 = 9u;
const COLUMNS: u32 = 288u;

var<workgroup> staged: array<vec4<f32>, 576>;
// Of each column, four rows a vector.
var<workgroup> weights: array<vec4<f32>, 288>;

// Which of the bindings.
const Q: u32 = 0u;
const K: u32 = 1u;
const V: u32 = 2u;
const GO: u32 = 3u;

fn fetch(source: u32, i: u32) -> vec4<f32> {
    if source == Q {
        return q[i];
    }
    if source == K {
        return k[i];
    }
    @if(BACKWARD) if source == GO {
        return go[i];
    }
    return v[i];
}

// What a workgroup makes of 32 queries: of head bh those from `first` on, the vectors of channels from
// c0 on.
struct Share {
    // Whether there are any.
    some: bool,
    bh: u32,
    first: u32,
    // The open queries of the head.
    count: u32,
    c0: u32,
}

fn share_of(item: u32) -> Share {
    let slices = (p.quads + SLICE - 1u) / SLICE;
    let tiles = (p.steps + TILE - 1u) / TILE;
    var found: Share;
    found.c0 = item % slices * SLICE;
    found.first = item / slices % tiles * TILE;
    found.bh = item / slices / tiles;
    if found.bh < p.batch * p.heads {
        found.count = open_count(queries_of(found.bh));
    }
    found.some = found.first < found.count;
    return found;
}

// Products of the pairs: rows of `a` from rows.x on with rows of `b` from columns.x on. Those past the
// end, which is .y, repeat the last.
fn products(local: u32, a: u32, rows: vec2<u32>, b: u32, columns: vec2<u32>) -> array<vec4<f32>, 4> {
    var s = array<vec4<f32>, 4>();
    let row = local / 8u * 4u * PITCH;
    let column = COLUMNS + local % 8u * PITCH;
    for (var c0 = 0u; c0 < p.quads; c0 += DEPTH) {
        workgroupBarrier();
        let c = c0 + local % 8u;
        if c < p.quads {
            for (var n = 0u; n < 4u; n++) {
                let line = local / 8u + 8u * n;
                let to = line * PITCH + local % 8u;
                staged[to] = fetch(a, min(rows.x + line, rows.y - 1u) * p.quads + c);
                staged[COLUMNS + to] = fetch(b, min(columns.x + line, columns.y - 1u) * p.quads + c);
            }
        }
        workgroupBarrier();
        let depth = min(DEPTH, p.quads - c0);
        for (var d = 0u; d < depth; d++) {
            let block = mat4x4<f32>(
                staged[row + d], staged[row + PITCH + d],
                staged[row + 2u * PITCH + d], staged[row + 3u * PITCH + d],
            );
            for (var n = 0u; n < 4u; n++) {
                s[n] += staged[column + 8u * n * PITCH + d] * block;
            }
        }
    }
    return s;
}

// Leaves the weights of the pairs for `add_sums`. Whoever still reads those before must be done.
fn put_weights(local: u32, w: array<vec4<f32>, 4>) {
    for (var n = 0u; n < 4u; n++) {
        weights[(local % 8u + 8u * n) * PITCH + local / 8u] = w[n];
    }
}

// The vectors of a matrix, each times its factor.
fn scaled(m: mat4x4<f32>, factor: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(m[0] * factor.x, m[1] * factor.y, m[2] * factor.z, m[3] * factor.w);
}

// How often rows were staged for sums, and when something among them was not finite.
var<private> stagings: u32;
var<workgroup> tainted: atomic<u32>;

// Adds the sums over the columns of weight times row of `x`: for the invocation's four rows, the vectors
// c0 + local % 8 + 8 n of channels, n < 2. `mine`: what these rows see; only rows that are not finite ask.
fn add_sums(
    local: u32, x: u32, columns: vec2<u32>, c0: u32, mine: Queries,
    sums: ptr<function, array<mat4x4<f32>, 2>>,
) {
    stagings++;
    workgroupBarrier();
    let c = c0 + local % STRETCH;
    if c < p.quads {
        var taint = false;
        for (var n = 0u; n < 8u; n++) {
            let line = local / STRETCH + 4u * n;
            let row = min(columns.x + line, columns.y - 1u);
            let y = fetch(x, row * p.quads + c);
            taint |= any_not_finite(y);
            staged[line * STRETCH + local % STRETCH] = y;
        }
        if taint {
            atomicStore(&tainted, stagings);
        }
    }
    workgroupBarrier();
    let apart = atomicLoad(&tainted) == stagings;
    let count = min(TILE, columns.y - columns.x);
    for (var column = 0u; column < count; column++) {
        let w = weights[column * PITCH + local / 8u];
        for (var n = 0u; n < 2u; n++) {
            let y = staged[column * STRETCH + local % 8u + 8u * n];
            if apart {
                let key = columns.x + column - mine.head;
                (*sums)[n] += weighted_seen(y, w, seen_by(mine, key, columns.y - mine.head));
            } else {
                (*sums)[n] += weighted(y, w);
            }
        }
    }
}
