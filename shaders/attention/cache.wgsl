// The cache of gated attention: per head of each sample, the keys and values of open positions.
//
// Keys stand there after rotation by their position (channel c paired with c + d/2):
//
//     y[c] = x[c] cos - x[c + d/2] sin,   y[c + d/2] = x[c + d/2] cos + x[c] sin
//
// A lane is a head of a sample. k, v: [S, lanes, d]; spikes: [S, B, C], f32 (a spike is a value above
// 0) or bits along S (condition BITS), the C channels in `groups` equal groups; turns: (cos, sin) of
// [rows, d/2] angles, not read where half = 0; rows: [lanes, 2, A + W + 1, d], keys, then values: A slots
// for open positions below A, and a ring for later ones; ring: [lanes, 4 + W + 1]: keys that the ring
// ever got (head), of which so many have left the window (tail), keys below A, 0, and the position of
// each slot of the ring.
//
// Rows are read in units: 4 channels (condition VEC: d is a multiple of 8), else 1.

struct Params {
    // Tokens S of this call, and the position of the first.
    steps: u32,
    position: u32,
    lanes: u32,
    heads: u32,
    // Units of a head's row, and half of them where positions turn keys and queries, else 0.
    units: u32,
    half: u32,
    channels: u32,
    groups: u32,
    // Spikes that open a position.
    least: u32,
    window: u32,
    anchors: u32,
    // The tokens that are kept: the first `early`, and from `late` on.
    early: u32,
    late: u32,
    // The row of `turns` of the first kept token.
    turn: u32,
    scale: f32,
}

@if(VEC) alias Unit = vec4<f32>;
@if(!VEC) alias Unit = f32;

@group(0) @binding(0) var<storage, read> k: array<Unit>;
@group(0) @binding(1) var<storage, read> v: array<Unit>;
@if(BITS) @group(0) @binding(2) var<storage, read> spikes: array<u32>;
@if(!BITS) @group(0) @binding(2) var<storage, read> spikes: array<f32>;
@group(0) @binding(3) var<storage, read> turns: array<Unit>;
@group(0) @binding(4) var<storage, read_write> rows: array<Unit>;
@group(0) @binding(5) var<storage, read_write> ring: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// Whether channel c of token t and sample b spikes: 0 or 1.
@if(BITS) fn spike(t: u32, b: u32, c: u32) -> u32 {
    let row = (t / 32u * (p.lanes / p.heads) + b) * p.channels;
    return (spikes[row + c] >> (t % 32u)) & 1u;
}
@if(!BITS) fn spike(t: u32, b: u32, c: u32) -> u32 {
    let row = (t * (p.lanes / p.heads) + b) * p.channels;
    return u32(spikes[row + c] > 0.0);
}

// The first of the channels whose spikes open a lane.
fn first_channel(lane: u32) -> u32 {
    return lane % p.heads * p.groups / p.heads * (p.channels / p.groups);
}

// Cosines and sines of unit u of the first half, in row `turn` of the table.
struct Turn {
    cos: Unit,
    sin: Unit,
}
@if(VEC) fn turn_of(turn: u32, u: u32) -> Turn {
    let at = (turn * p.half + u) * 2u;
    let a = turns[at];
    let b = turns[at + 1u];
    return Turn(vec4<f32>(a.x, a.z, b.x, b.z), vec4<f32>(a.y, a.w, b.y, b.w));
}
@if(!VEC) fn turn_of(turn: u32, u: u32) -> Turn {
    let at = (turn * p.half + u) * 2u;
    return Turn(turns[at], turns[at + 1u]);
}

// The unit that unit u is paired with.
fn partner(u: u32) -> u32 {
    return (u + p.half) % p.units;
}

// Unit u of a row, turned; `paired` is its partner's.
fn turned(x: Unit, paired: Unit, turn: u32, u: u32) -> Unit {
    let at = turn_of(turn, u % p.half);
    if u < p.half {
        return x * at.cos - paired * at.sin;
    }
    return x * at.cos + paired * at.sin;
}

fn capacity() -> u32 {
    return p.window + 1u;
}

// Where the keys of a lane begin, and its values.
fn key_row(lane: u32, slot: u32) -> u32 {
    return (2u * lane * (p.anchors + capacity()) + slot) * p.units;
}
fn value_row(lane: u32, slot: u32) -> u32 {
    return ((2u * lane + 1u) * (p.anchors + capacity()) + slot) * p.units;
}

fn ring_of(lane: u32) -> u32 {
    return lane * (4u + capacity());
}

// Writes unit u of token t, which row `turn` of the table turns, to a slot.
fn keep(lane: u32, slot: u32, t: u32, turn: u32, u: u32) {
    let row = (t * p.lanes + lane) * p.units;
    var key = k[row + u];
    if p.half > 0u {
        key = turned(key, k[row + partner(u)], turn, u);
    }
    rows[key_row(lane, slot) + u] = key;
    rows[value_row(lane, slot) + u] = v[row + u];
}

// The first key of the ring that a query at `position` still sees.
fn advanced(lane: u32, head: u32, tail: u32, position: u32) -> u32 {
    // Older ones were overwritten.
    var first = max(tail, head - min(head, capacity()));
    while first < head && ring[ring_of(lane) + 4u + first % capacity()] + p.window < position {
        first++;
    }
    return first;
}
