// One token at position i of gated attention, whose key and value join the cache:
//
//     o = sum_j exp(s_j) v_j / sum_j exp(s_j),   s_j = scale q . k_j,   j open, i - W <= j or j < A
//
// k, v, spikes, turns, rows, ring: see attention/cache.wgsl, with S = 1; q: [lanes, d]; o: [lanes, d]
// output, 0 where no position is open or the token itself is silent (QUERY_GATE).
// A workgroup a head of a sample. WG keys at a time: an invocation makes the score of one, then sums
// values of its channels over all; o holds the sums meanwhile.

import package::attention::cache::{
    p, rows, ring, Unit, spike, first_channel, partner, turned, capacity, key_row, value_row,
    ring_of, keep, advanced,
};
import package::shared::finite::{greatest, nan_of};
import package::shared::index::{Group, group_index};
import package::shared::math::exp_below;

override WG: u32 = 64u;
// Units of a head's row.
override UNITS: u32 = 16u;
override QUERY_GATE: bool = true;

@group(0) @binding(6) var<storage, read> q: array<Unit>;
@group(0) @binding(7) var<storage, read_write> o: array<Unit>;

// What is seen of a lane's ring.
struct Seen {
    open: u32,
    // Keys of the ring in the window: from number `tail` on, so many.
    tail: u32,
    ring: u32,
    early: u32,
}

var<workgroup> partial: array<u32, WG>;
var<workgroup> seen: Seen;
var<workgroup> query: array<Unit, UNITS>;
var<workgroup> scores: array<f32, WG>;
var<workgroup> weights: array<f32, WG>;
// Where the values of these keys begin.
var<workgroup> places: array<u32, WG>;

@if(VEC) fn product(a: Unit, b: Unit) -> f32 { return dot(a, b); }
@if(!VEC) fn product(a: Unit, b: Unit) -> f32 { return a * b; }

// Counts spikes, and finds room for the token.
fn look(lane: u32) {
    let header = ring_of(lane);
    var count = 0u;
    for (var i = 0u; i < WG; i++) {
        count += partial[i];
    }
    let open = count >= p.least;
    var head = ring[header];
    let tail = advanced(lane, head, ring[header + 1u], p.position);
    var early = ring[header + 2u];
    if open && p.position < p.anchors {
        early++;
        ring[header + 2u] = early;
    } else if open {
        ring[header + 4u + head % capacity()] = p.position;
        head++;
        ring[header] = head;
    }
    ring[header + 1u] = tail;
    seen = Seen(u32(open), tail, head - tail, early);
}

// The slot of key number i that is seen.
fn slot_of(i: u32, s: Seen) -> u32 {
    if i < s.early {
        return i;
    }
    return p.anchors + (s.tail + i - s.early) % capacity();
}

// The slot of the token itself, which is the last of its kind.
fn slot_of_token(s: Seen) -> u32 {
    if p.position < p.anchors {
        return s.early - 1u;
    }
    return p.anchors + (s.tail + s.ring - 1u) % capacity();
}

@compute @workgroup_size(WG)
fn decode_attend(at: Group, @builtin(local_invocation_index) local: u32) {
    let lane = group_index(at);
    if lane >= p.lanes {
        return;
    }
    let width = p.channels / p.groups;
    var count = 0u;
    for (var c = local; c < width; c += WG) {
        count += spike(0u, lane / p.heads, first_channel(lane) + c);
    }
    partial[local] = count;
    workgroupBarrier();
    if local == 0u {
        look(lane);
    }
    let s = workgroupUniformLoad(&seen);
    let row = lane * p.units;
    for (var u = local; u < p.units; u += WG) {
        if s.open != 0u {
            keep(lane, slot_of_token(s), 0u, p.turn, u);
        }
        var x = q[row + u];
        if p.half > 0u {
            x = turned(x, q[row + partner(u)], p.turn, u);
        }
        query[u] = x * p.scale;
        o[row + u] = Unit();
    }
    if QUERY_GATE && s.open == 0u {
        return;
    }
    storageBarrier();
    workgroupBarrier();

    let keys = s.early + s.ring;
    var most = -3.4028234e38;
    var total = 0.0;
    for (var first = 0u; first < keys; first += WG) {
        let here = min(WG, keys - first);
        var place = 0u;
        if local < here {
            let slot = slot_of(first + local, s);
            let key = key_row(lane, slot);
            var score = 0.0;
            for (var u = 0u; u < p.units; u++) {
                score += product(query[u], rows[key + u]);
            }
            scores[local] = score;
            place = value_row(lane, slot);
        }
        workgroupBarrier();
        var now = most;
        for (var i = 0u; i < here; i++) {
            now = greatest(now, scores[i]);
        }
        if local < here {
            weights[local] = exp_below(scores[local] - now);
            places[local] = place;
        }
        let shrunk = exp_below(most - now);
        most = now;
        workgroupBarrier();
        total *= shrunk;
        for (var i = 0u; i < here; i++) {
            total += weights[i];
        }
        for (var u = local; u < p.units; u += WG) {
            var sum = o[row + u] * shrunk;
            for (var i = 0u; i < here; i++) {
                sum += weights[i] * rows[places[i] + u];
            }
            o[row + u] = sum;
        }
    }
    // As in attention_forward, a sum of nothing is 0, and one of scores that are all -infinity NaN.
    if keys > 0u {
        let divisor = select(total, nan_of(total), total == 0.0);
        for (var u = local; u < p.units; u += WG) {
            o[row + u] /= divisor;
        }
    }
}
