// The weighted average over the past of SpikeGPT and RWKV-4, for each channel, with w' = -e^w:
//
//     y[t] = (sum_{i<t} e^((t-1-i) w' + k[i]) v[i] + e^(u + k[t]) v[t]) / (the same with v = 1)
//
// k, v, y: [T, columns]. w, u: [channels]. A memory is p, q, o: rows of [3, columns], see
// shared/wkv.wgsl. starts: [chunks, 3, columns], memories before each chunk, read if STATE (else
// nothing). saved: if SAVE, memories before every EVERY-th step, [ceil(T / EVERY), 3, columns], then
// w' and u, [2, columns]. last: without EMIT, y is not written and last [chunks, 3, columns] are the
// memories at each chunk's end; with EMIT, last [3, columns] is that after the last step.
// Walks (shared/walk.wgsl): the memory stays in registers; loads go eight steps ahead.

import package::shared::index::group_index;
import package::shared::math::exp_of;
import package::shared::walk::{SPAN, STRIDE, Share, Walk, walk_at};
import package::shared::wkv::{
    Memory, EVERY, NOTHING, exponent, weights_out, weights_in, remember
};

override WG: u32 = 64u;
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

// w' and u.
struct Channel {
    decay: f32,
    bonus: f32,
}

// The step whose elements stand at i.
fn advance(one: Channel, m: Memory, i: u32, key: f32, value: f32) -> Memory {
    if EMIT {
        let out = weights_out(m, one.decay, one.bonus, key);
        y[i] = (out.past * m.p + out.now * value) / (out.past * m.q + out.now);
    }
    return remember(m, weights_in(m, one.decay, key), key, value);
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
    for (var done = 0u; done < count; done += EVERY) {
        checkpoint(m, one, t + done, c);
        if done + EVERY <= count {
            var keys: array<f32, 8>;
            var values: array<f32, 8>;
            for (var j = 0u; j < 8u; j++) {
                keys[j] = k[i + j * row];
                values[j] = v[i + j * row];
            }
            for (var j = 0u; j < 8u; j++) {
                m = advance(one, m, i + j * row, keys[j], values[j]);
            }
            i += 8u * row;
        } else {
            for (var left = count - done; left > 0u; left--) {
                m = advance(one, m, i, k[i], v[i]);
                i += row;
            }
        }
    }
    return m;
}

@compute @workgroup_size(WG)
fn wkv(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = group_index(group, groups) * WG * p.span + local;
    let row = p.columns;
    var walks: array<Walk, SPAN>;
    var channels: array<Channel, SPAN>;
    var memories: array<Memory, SPAN>;
    for (var m = 0u; m < p.span; m++) {
        let at = walk_at(item + m * WG, p);
        walks[m] = at;
        channels[m] = Channel(-exp_of(w[at.column % p.channels]), u[at.column % p.channels]);
        memories[m] = NOTHING;
        if STATE && at.end > 0u {
            let chunk = (at.first - p.start) / p.chunk;
            let i = chunk * 3u * row + at.column;
            memories[m] = Memory(starts[i], starts[i + row], starts[i + 2u * row], 0.0);
        }
    }
    for (var done = 0u; done < p.chunk; done += STRIDE) {
        for (var m = 0u; m < p.span; m++) {
            let at = walks[m];
            let t = at.first + done;
            if t < at.end {
                let count = min(STRIDE, at.end - t);
                memories[m] = steps(channels[m], t, at.column, count, memories[m]);
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
