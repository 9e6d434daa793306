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
// again. carry: [2, chunks, columns], gp and gq at each chunk's end in (if CARRY; else 0), at its start
// out. sums: [2, chunks, columns], gw and gu, added to what they hold if MORE. EMIT: gk, gv and sums
// are written.
// Walks (scan/walk.wgsl); loads go eight steps ahead.

import package::shared::index::{Group, group_index};
import package::scan::walk::{SPAN, Share, Walk, walk_at};
import package::scan::memory::{
    Memory, Weights, EVERY, weights_out, weights_in, remember
};

override WG: u32 = 64u;
// A multiple of the 8 steps that loads go ahead: see scan/walk.wgsl.
override STRIDE: u32 = 32u;
override CARRY: bool = false;
override MORE: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> gy: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> gk: array<f32>;
@group(0) @binding(5) var<storage, read_write> gv: array<f32>;
@group(0) @binding(6) var<storage, read_write> carry: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: Share;

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
        let lost = s.into.past * (s.p * last.gp + s.q * last.gq);
        // Of nothing, nothing.
        to.decay += select(lost, 0.0, s.q == 0.0);
    }
    let through = s.out.past * upstream;
    to.gp = s.into.past * last.gp + through;
    to.gq = s.into.past * last.gq - through * s.y;
    return to;
}

// What the launches before left of sum i.
fn before(i: u32) -> f32 {
    if MORE {
        return sums[i];
    }
    return 0.0;
}

// The memory before step t, which is a multiple of EVERY.
fn memory_at(t: u32, c: u32) -> Memory {
    let at = t / EVERY * 3u * p.columns + c;
    return Memory(saved[at], saved[at + p.columns], saved[at + 2u * p.columns], 0.0);
}

// Step t: the memory is computed from the last one saved.
fn one_step(one: Channel, t: u32, c: u32, start: Carry) -> Carry {
    let row = p.columns;
    var m = memory_at(t, c);
    var i = t / EVERY * EVERY * row + c;
    for (var left = t % EVERY; left > 0u; left--) {
        m = remember(m, weights_in(m, one.decay, k[i]), k[i], v[i]);
        i += row;
    }
    return retreat(step_after(one, m, k[i], v[i]), start, i, v[i], gy[i]);
}

// Steps t + 7 down to t, a multiple of EVERY.
fn eight_steps(one: Channel, t: u32, c: u32, start: Carry) -> Carry {
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
    var again: array<Step, 8>;
    var m = memory_at(t, c);
    for (var j = 0u; j < 8u; j++) {
        again[j] = step_after(one, m, keys[j], values[j]);
        m = remember(m, again[j].into, keys[j], values[j]);
    }
    var to = start;
    for (var j = 0u; j < 8u; j++) {
        let at = 7u - j;
        to = retreat(again[at], to, i + at * row, values[at], upstream[at]);
    }
    return to;
}

// Steps end - 1 down to first.
fn steps(one: Channel, first: u32, end: u32, c: u32, start: Carry) -> Carry {
    var to = start;
    var t = end;
    for (; t % EVERY != 0u; t--) {
        to = one_step(one, t - 1u, c, to);
    }
    for (; t > first; t -= EVERY) {
        to = eight_steps(one, t - EVERY, c, to);
    }
    return to;
}

@compute @workgroup_size(WG)
fn wkv_backward(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG * p.span + local;
    let items = p.columns * p.chunks;
    var walks: array<Walk, SPAN>;
    var channels: array<Channel, SPAN>;
    var carries: array<Carry, SPAN>;
    for (var m = 0u; m < p.span; m++) {
        let i = item + m * WG;
        let place = walk_at(i, p);
        let constants = (p.steps + EVERY - 1u) / EVERY * 3u * p.columns + place.column;
        walks[m] = place;
        channels[m] = Channel(saved[constants], saved[constants + p.columns]);
        carries[m] = Carry(0.0, 0.0, 0.0, 0.0);
        if CARRY && place.end > 0u {
            carries[m].gp = carry[i];
            carries[m].gq = carry[items + i];
        }
    }
    for (var left = (p.chunk + STRIDE - 1u) / STRIDE; left > 0u; left--) {
        for (var m = 0u; m < p.span; m++) {
            let place = walks[m];
            let t = place.first + (left - 1u) * STRIDE;
            if t < place.end {
                let end = min(t + STRIDE, place.end);
                carries[m] = steps(channels[m], t, end, place.column, carries[m]);
            }
        }
    }
    for (var m = 0u; m < p.span; m++) {
        let i = item + m * WG;
        if walks[m].end > 0u {
            carry[i] = carries[m].gp;
            carry[items + i] = carries[m].gq;
            if EMIT {
                sums[i] = channels[m].decay * carries[m].decay + before(i);
                sums[items + i] = carries[m].bonus + before(items + i);
            }
        }
    }
}
