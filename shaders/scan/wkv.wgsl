// The weighted average over the past of SpikeGPT and RWKV-4, for each channel, with w' = -e^w:
//
//     y[t] = (sum_{i<t} e^((t-1-i) w' + k[i]) v[i] + e^(u + k[t]) v[t]) / (the same with v = 1)
//
// k, v, y: [T, columns]. w, u: [channels]. A memory is p, q, o: rows of [3, columns], see
// scan/memory.wgsl. starts: [chunks, 3, columns], memories before each chunk, read if STATE (else
// nothing). saved: if SAVE, memories before every EVERY-th step, [ceil(T / EVERY), 3, columns], then
// w' and u, [2, columns]. last: without EMIT, y is not written and last [chunks, 3, columns] are the
// memories at each chunk's end; with EMIT, last [3, columns] is that after the last step.
// Walks (scan/walk.wgsl): the memory stays in registers; loads go eight steps ahead.

import package::shared::index::{Group, group_index};
import package::shared::finite::is_not_finite;
import package::shared::math::exp_of;
import package::scan::walk::{SPAN, Share, Walk, walk_at};
import package::scan::memory::{
    Memory, EVERY, NOTHING, decay_of, exponent, exponent_after, weights_out, weights_in, remember
};

override WG: u32 = 64u;
// A multiple of the 8 steps that loads go ahead: see scan/walk.wgsl.
override STRIDE: u32 = 32u;
override STATE: bool = false;
override EMIT: bool = true;
override SAVE: bool = false;

@group(0) @binding(0) var<storage, read> k: array<f32>;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> u: array<f32>;
@group(0) @binding(4) var<storage, read> starts: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read_write> saved: array<f32>;
@group(0) @binding(7) var<storage, read_write> last: array<f32>;
@group(1) @binding(0) var<uniform> p: Share;

// w' and u, then e^w' and e^-u for the sums of a span.
struct Channel {
    decay: f32,
    bonus: f32,
    kept: f32,
    past: f32,
}

fn channel_at(c: u32) -> Channel {
    let decay = decay_of(w[c]);
    return Channel(decay, u[c], exp_of(decay), exp_of(clamp(-u[c], -BONUS, BONUS)));
}

// The step whose elements stand at i.
fn advance(one: Channel, m: Memory, i: u32, key: f32, value: f32) -> Memory {
    if EMIT {
        let out = weights_out(m, one.decay, one.bonus, key);
        y[i] = (out.past * m.p + out.now * value) / (out.past * m.q + out.now);
    }
    return remember(m, weights_in(m, one.decay, key), key, value);
}

// Eight steps share an exponent, the largest of their keys and of the memory: one exponential a step
// gives its weight, and the sums follow by e^w' alone. Keys that lie further apart than f32 can hold
// (below e^-80 of the largest) are walked by single steps, and so are channels of a large bonus, and
// whatever is infinite or NaN.
const LEAST: f32 = -80.0;
const BONUS: f32 = 40.0;

// Sums relative to that exponent: all, and what the eight steps added.
struct Sums {
    all: vec2<f32>,
    added: vec2<f32>,
}

fn four_keys(i: u32) -> vec4<f32> {
    let row = p.columns;
    return vec4(k[i], k[i + row], k[i + 2u * row], k[i + 3u * row]);
}

fn four_values(i: u32) -> vec4<f32> {
    let row = p.columns;
    return vec4(v[i], v[i + row], v[i + 2u * row], v[i + 3u * row]);
}

fn largest(x: vec4<f32>) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

// `count` single steps.
fn single_steps(one: Channel, start: Memory, first: u32, count: u32) -> Memory {
    var m = start;
    var i = first;
    for (var left = count; left > 0u; left--) {
        m = advance(one, m, i, k[i], v[i]);
        i += p.columns;
    }
    return m;
}

// A step, of weight w.
fn add(one: Channel, s: Sums, i: u32, w: f32, value: f32) -> Sums {
    let term = vec2(w * value, w);
    if EMIT {
        let out = one.past * s.all + term;
        y[i] = out.x / out.y;
    }
    return Sums(one.kept * s.all + term, one.kept * s.added + term);
}

fn add_four(one: Channel, start: Sums, i: u32, w: vec4<f32>, values: vec4<f32>) -> Sums {
    let row = p.columns;
    var s = add(one, start, i, w.x, values.x);
    s = add(one, s, i + row, w.y, values.y);
    s = add(one, s, i + 2u * row, w.z, values.z);
    return add(one, s, i + 3u * row, w.w, values.w);
}

fn eight_steps(one: Channel, m: Memory, i: u32) -> Memory {
    let late = i + 4u * p.columns;
    let keys = array<vec4<f32>, 2>(four_keys(i), four_keys(late));
    let values = array<vec4<f32>, 2>(four_values(i), four_values(late));
    let key = largest(max(keys[0], keys[1]));
    let past = exponent(m, one.decay);
    let base = max(past, key);
    var s = Sums(vec2(m.p, m.q) * exp(max(past - base, LEAST)), vec2(0.0));
    s = add_four(one, s, i, exp(max(keys[0] - base, vec4(LEAST))), values[0]);
    s = add_four(one, s, late, exp(max(keys[1] - base, vec4(LEAST))), values[1]);
    // What was there before decays in its exponent: see Memory. The exponent afterwards is the one that
    // single steps would have left, for backward goes through these.
    let later = exponent_after(m, 8.0, one.decay);
    let early = keys[0] + vec4(7.0, 6.0, 5.0, 4.0) * one.decay;
    let newest = largest(max(early, keys[1] + vec4(3.0, 2.0, 1.0, 0.0) * one.decay));
    let top = max(later, newest);
    let sums = vec2(m.p, m.q) * exp(max(later - top, LEAST)) + s.added * exp(min(base - top, -LEAST));
    let kept = later >= newest;
    let all = past + one.decay + one.bonus + dot(keys[0] + keys[1], vec4(1.0));
    let spread = base + largest(max(-keys[0], -keys[1]));
    if spread > -LEAST || abs(one.bonus) > BONUS || is_not_finite(all) {
        return single_steps(one, m, i, 8u);
    }
    return Memory(sums.x, sums.y, select(newest, m.top, kept), select(0.0, m.age + 8.0, kept));
}

fn checkpoint(m: Memory, one: Channel, t: u32, c: u32) {
    if SAVE {
        let row = t / EVERY * 3u * p.columns + c;
        saved[row] = m.p;
        saved[row + p.columns] = m.q;
        saved[row + 2u * p.columns] = exponent(m, one.decay);
    }
}

// `count` steps from step t, a multiple of EVERY, on.
fn steps(one: Channel, t: u32, c: u32, count: u32, start: Memory) -> Memory {
    let row = p.columns;
    var m = start;
    var i = t * row + c;
    let whole = count - count % EVERY;
    for (var done = 0u; done < whole; done += EVERY) {
        checkpoint(m, one, t + done, c);
        m = eight_steps(one, m, i);
        i += 8u * row;
    }
    if whole < count {
        checkpoint(m, one, t + whole, c);
    }
    return single_steps(one, m, i, count - whole);
}

@compute @workgroup_size(WG)
fn wkv(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG * p.span + local;
    let row = p.columns;
    var walks: array<Walk, SPAN>;
    var channels: array<Channel, SPAN>;
    var memories: array<Memory, SPAN>;
    for (var m = 0u; m < p.span; m++) {
        let place = walk_at(item + m * WG, p);
        walks[m] = place;
        channels[m] = channel_at(place.column % p.channels);
        memories[m] = NOTHING;
        if STATE && place.end > 0u {
            let chunk = (place.first - p.start) / p.chunk;
            let i = chunk * 3u * row + place.column;
            memories[m] = Memory(starts[i], starts[i + row], starts[i + 2u * row], 0.0);
        }
    }
    for (var done = 0u; done < p.chunk; done += STRIDE) {
        for (var m = 0u; m < p.span; m++) {
            let place = walks[m];
            let t = place.first + done;
            if t < place.end {
                let count = min(STRIDE, place.end - t);
                memories[m] = steps(channels[m], t, place.column, count, memories[m]);
            }
        }
    }
    for (var m = 0u; m < p.span; m++) {
        if walks[m].end > 0u {
            finish(walks[m], channels[m], memories[m]);
        }
    }
}

// Writes what is left in the end.
fn finish(at: Walk, one: Channel, m: Memory) {
    let row = p.columns;
    if SAVE && at.first == 0u {
        let i = (p.steps + EVERY - 1u) / EVERY * 3u * row + at.column;
        saved[i] = one.decay;
        saved[i + row] = one.bonus;
    }
    if !EMIT || at.end == p.steps || p.chunks == 1u {
        let i = select(at.first / p.chunk * 3u * row, 0u, EMIT) + at.column;
        last[i] = m.p;
        last[i + row] = m.q;
        last[i + 2u * row] = exponent(m, one.decay);
    }
}
