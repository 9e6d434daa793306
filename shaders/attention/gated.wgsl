// Where spike-gated attention finds its rows.
//
// Open positions of a group (a batch row, or a head of one) are counted and listed: `order` holds for
// each group rank [S + 1], the open positions before each, and index [S], the open positions in order,
// then the silent ones. Rows of compact arrays [B, H, S, d padded to 4 quads] are numbered by it: row r
// of head bh belongs to position index[r]; rows from the count on are never read or written.
//
// Functions here return in one place: FXC takes what comes from several for different in each invocation,
// and wants none of that around a barrier.
//
// Query i sees the keys [0, anchors) and [i - window, i], as far as they are open.

struct Geometry {
    // S, B, H, d
    steps: u32,
    batch: u32,
    heads: u32,
    width: u32,
    // Vectors of a compact row; half of d where positions turn q and k, else 0.
    quads: u32,
    half: u32,
    window: u32,
    anchors: u32,
    // Gates a batch row: 1 or H; of the queries also 0: all are open.
    key_groups: u32,
    query_groups: u32,
    // The first group of the queries in `order`.
    query_base: u32,
    // Into how many sums the gradient of an anchor is split; 0: none.
    segments: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(1) @binding(0) var<uniform> p: Geometry;

// The orders of all queries: none is stored.
const ALL: u32 = 0xffffffffu;

// Where the order of the keys of head bh (b H + h) starts.
fn keys_of(bh: u32) -> u32 {
    let group = bh / p.heads * p.key_groups + bh % p.heads % p.key_groups;
    return group * (2u * p.steps + 1u);
}

// Where the order of the queries of head bh starts.
fn queries_of(bh: u32) -> u32 {
    let groups = max(p.query_groups, 1u);
    let group = bh / p.heads * groups + bh % p.heads % groups;
    return select((p.query_base + group) * (2u * p.steps + 1u), ALL, p.query_groups == 0u);
}

// The open positions before `position`, at most S.
fn open_before(start: u32, position: u32) -> u32 {
    var open = min(position, p.steps);
    if start != ALL {
        open = order[start + open];
    }
    return open;
}

// How many are open.
fn open_count(start: u32) -> u32 {
    return open_before(start, p.steps);
}

// The position of row r.
fn position_of(start: u32, r: u32) -> u32 {
    var position = r;
    if start != ALL {
        position = order[start + p.steps + 1u + r];
    }
    return position;
}

// Four rows from `first`, none at or above `count`: rows past the end repeat the last.
fn four_rows(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

// Four queries of a head, and the keys that they see.
struct Queries {
    // Whether there are any.
    some: bool,
    // The first compact row of the head; their rows.
    head: u32,
    rows: vec4<u32>,
    // Key rows [low, high) are in the window of each, the first `anchors` are anchors.
    low: vec4<u32>,
    high: vec4<u32>,
    anchors: u32,
}

// Queries number 4 tile .. 4 tile + 3 of head bh.
fn queries_at(bh: u32, tile: u32) -> Queries {
    var found: Queries;
    let queries = queries_of(bh);
    let keys = keys_of(bh);
    var count = 0u;
    if bh < p.batch * p.heads {
        count = open_count(queries);
    }
    found.some = 4u * tile < count;
    if found.some {
        found.head = bh * p.steps;
        found.rows = four_rows(4u * tile, count);
        found.anchors = open_before(keys, p.anchors);
        for (var n = 0u; n < 4u; n++) {
            let i = position_of(queries, found.rows[n]);
            found.low[n] = open_before(keys, i - min(i, p.window));
            found.high[n] = open_before(keys, i + 1u);
        }
    }
    return found;
}

// Of queries `first` to `last` of head bh what `part_of` asks.
fn queries_between(bh: u32, first: u32, last: u32) -> Queries {
    var found: Queries;
    let queries = queries_of(bh);
    let keys = keys_of(bh);
    let i = position_of(queries, first);
    found.some = true;
    found.anchors = open_before(keys, p.anchors);
    found.low.x = open_before(keys, i - min(i, p.window));
    found.high.w = open_before(keys, position_of(queries, last) + 1u);
    return found;
}

// The keys that any of them sees are those of two parts: [x, y) of part 0, the anchors before every
// window, and of part 1.
fn part_of(t: Queries, part: u32) -> vec2<u32> {
    let anchors = vec2<u32>(0u, min(t.anchors, t.low.x));
    return select(vec2<u32>(t.low.x, t.high.w), anchors, part == 0u);
}

// Which of them see key row `key` of a part that ends at `to`.
fn seen_by(t: Queries, key: u32, to: u32) -> vec4<bool> {
    let near = (vec4<u32>(key) >= t.low) | vec4<bool>(key < t.anchors);
    return (vec4<u32>(key) < min(t.high, vec4<u32>(to))) & near;
}

// Which of them see any key.
fn see_any(t: Queries) -> vec4<bool> {
    return (t.high > t.low) | (min(vec4<u32>(t.anchors), t.high) > vec4<u32>(0u));
}

// x times the weights of four rows: a vector for each.
fn weighted(x: vec4<f32>, w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(x * w.x, x * w.y, x * w.z, x * w.w);
}

// Likewise, and nothing for those that do not see x: 0 times a number that is not finite is NaN.
fn weighted_seen(x: vec4<f32>, w: vec4<f32>, seen: vec4<bool>) -> mat4x4<f32> {
    const NOTHING: vec4<f32> = vec4<f32>();
    return mat4x4<f32>(
        select(NOTHING, x * w.x, seen.x), select(NOTHING, x * w.y, seen.y),
        select(NOTHING, x * w.z, seen.z), select(NOTHING, x * w.w, seen.w),
    );
}
