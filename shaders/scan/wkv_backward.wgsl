// Backward of wkv, from the last step to the first. With A, B the sums e^o p and e^o q of the memory,
// the gradients of A and B are kept as e^-o gp and e^-o gq, o being that of the same step: the weights
// of forward, of which none exceeds 1, are then those of backward too. At step t, with out.past and
// out.now divided by the denominator of y, and in.past, in.now those of the next memory:
//
//     gv[t] = out.now gy + in.now gp,   gk[t] = out.now gy (v - y) + in.now (v gp + gq)
//     gu += out.now gy (v - y),         gw' += in.past (p gp + q gq),   gw = w' gw'
//     gp <- in.past gp + out.past gy,   gq <- in.past gq - out.past gy y
//
// k, v, gy, gk, gv: [T, columns]. saved: as in wkv; memories between two that are saved are computed
// again. carry: [2, chunks, columns], gp and gq at each chunk's end in (if CARRY; else 0), and, unless
// EMIT, at its start out. sums: [2, chunks, columns], gw and gu. EMIT: gk, gv and sums are written.
// One invocation a column and chunk; loads go eight steps ahead. MARCH: as in lif_forward.

import package::shared::index::item_index;
import package::shared::wkv::{
    WkvParams, Memory, Weights, EVERY, weights_out, weights_in, remember
};

override MARCH: bool = false;
override WG: u32 = select(64u, 256u, MARCH);
override CARRY: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> gy: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> gk: array<f32>;
@group(0) @binding(5) var<storage, read_write> gv: array<f32>;
@group(0) @binding(6) var<storage, read_write> carry: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: WkvParams;

// w' and u.
struct Channel {
    decay: f32,
    bonus: f32,
}

// The gradients of the memory, and the sums over time.
struct Carry {
    gp: f32,
    gq: f32,
    decay: f32,
    bonus: f32,
}

// A step of forward, computed again: the memory before it, its weights, its output.
struct Step {
    p: f32,
    q: f32,
    y: f32,
    out: Weights,
    into: Weights,
}

fn step_after(one: Channel, m: Memory, key: f32, value: f32) -> Step {
    let out = weights_out(m, one.decay, one.bonus, key);
    let scale = 1.0 / (out.past * m.q + out.now);
    let scaled = Weights(out.past * scale, out.now * scale);
    let y = scaled.past * m.p + scaled.now * value;
    return Step(m.p, m.q, y, scaled, weights_in(m, one.decay, key));
}

// The step whose elements stand at i.
fn retreat(s: Step, last: Carry, i: u32, value: f32, upstream: f32) -> Carry {
    var to = last;
    if EMIT {
        let direct = s.out.now * upstream;
        let moved = direct * (value - s.y);
        gk[i] = moved + s.into.now * (value * last.gp + last.gq);
        gv[i] = direct + s.into.now * last.gp;
        to.bonus += moved;
        to.decay += s.into.past * (s.p * last.gp + s.q * last.gq);
    }
    let through = s.out.past * upstream;
    to.gp = s.into.past * last.gp + through;
    to.gq = s.into.past * last.gq - through * s.y;
    return to;
}

// The memory before step t, which is a multiple of EVERY.
fn memory_at(t: u32, c: u32) -> Memory {
    let at = t / EVERY * 3u * p.columns + c;
    return Memory(saved[at], saved[at + p.columns], saved[at + 2u * p.columns], 0.0);
}

// Step t: the memory is computed from the last one saved.
fn walk_one(one: Channel, t: u32, c: u32, start: Carry) -> Carry {
    let row = p.columns;
    var m = memory_at(t, c);
    var i = t / EVERY * EVERY * row + c;
    for (var before = t % EVERY; before > 0u; before--) {
        m = remember(m, weights_in(m, one.decay, k[i]), k[i], v[i]);
        i += row;
    }
    return retreat(step_after(one, m, k[i], v[i]), start, i, v[i], gy[i]);
}

// Steps t + 7 down to t, a multiple of EVERY.
fn walk_eight(one: Channel, t: u32, c: u32, start: Carry) -> Carry {
    let row = p.columns;
    let i = t * row + c;
    var keys: array<f32, 8>;
    var values: array<f32, 8>;
    var upstream: array<f32, 8>;
    for (var j = 0u; j < 8u; j++) {
        keys[j] = k[i + j * row];
        values[j] = v[i + j * row];
        upstream[j] = gy[i + j * row];
    }
    var steps: array<Step, 8>;
    var m = memory_at(t, c);
    for (var j = 0u; j < 8u; j++) {
        steps[j] = step_after(one, m, keys[j], values[j]);
        m = remember(m, steps[j].into, keys[j], values[j]);
    }
    var to = start;
    for (var j = 0u; j < 8u; j++) {
        let at = 7u - j;
        to = retreat(steps[at], to, i + at * row, values[at], upstream[at]);
    }
    return to;
}

// Steps end - 1 down to first.
fn walk(one: Channel, first: u32, end: u32, c: u32, start: Carry) -> Carry {
    var to = start;
    var t = end;
    for (; t % EVERY != 0u; t--) {
        to = walk_one(one, t - 1u, c, to);
    }
    for (; t > first; t -= EVERY) {
        to = walk_eight(one, t - EVERY, c, to);
    }
    return to;
}

@compute @workgroup_size(WG)
fn wkv_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = item_index(group, groups, local, WG);
    let items = p.columns * p.chunks;
    let live = item < items;
    let c = item % p.columns;
    let constants = (p.steps + EVERY - 1u) / EVERY * 3u * p.columns + c;
    let one = Channel(saved[constants], saved[constants + p.columns]);
    let first = item / p.columns * p.chunk;
    let end = min(first + p.chunk, p.steps);
    var to = Carry(0.0, 0.0, 0.0, 0.0);
    if CARRY && live {
        to.gp = carry[item];
        to.gq = carry[items + item];
    }
    for (var left = (p.chunk + 31u) / 32u; left > 0u; left--) {
        if MARCH {
            workgroupBarrier();
        }
        let t = first + (left - 1u) * 32u;
        if live && t < end {
            to = walk(one, t, min(t + 32u, end), c, to);
        }
    }
    if !live {
        return;
    }
    if EMIT {
        sums[item] = one.decay * to.decay;
        sums[items + item] = to.bonus;
    } else {
        carry[item] = to.gp;
        carry[items + item] = to.gq;
    }
}
