// The weighted average over the past of SpikeGPT and RWKV-4, for each channel, with w' = -e^w:
//
//     y[t] = (sum_{i<t} e^((t-1-i) w' + k[i]) v[i] + e^(u + k[t]) v[t]) / (the same with v = 1)
//
// k, v, y: [T, columns]. w, u: [channels]. A memory is p, q, o: rows of [3, columns], see
// shared/wkv.wgsl. starts: [chunks, 3, columns], memories before each chunk, read if STATE (else
// nothing). saved: if SAVE, memories before every EVERY-th step, [ceil(T / EVERY), 3, columns], then
// w' and u, [2, columns]. last: if EMIT, y is written and last [3, columns] is the memory after step
// T-1; else y is not written and last [chunks, 3, columns] are those at each chunk's end.
// One invocation a column and chunk; the memory stays in registers; loads go eight steps ahead.
// MARCH: the lanes of a workgroup wait for each other every 32 steps, as in lif_forward.

import package::shared::index::item_index;
import package::shared::math::exp_of;
import package::shared::wkv::{
    WkvParams, Memory, EVERY, NOTHING, exponent, weights_out, weights_in, remember
};

override MARCH: bool = false;
override WG: u32 = select(64u, 256u, MARCH);
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
@group(1) @binding(0) var<uniform> p: WkvParams;

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
fn walk(one: Channel, t: u32, c: u32, count: u32, start: Memory) -> Memory {
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
    let item = item_index(group, groups, local, WG);
    let live = item < p.columns * p.chunks;
    let c = item % p.columns;
    let chunk = item / p.columns;
    let one = Channel(-exp_of(w[c % p.channels]), u[c % p.channels]);
    let first = chunk * p.chunk;
    let end = min(first + p.chunk, p.steps);
    let row = p.columns;
    var m = NOTHING;
    if STATE && live {
        let at = chunk * 3u * row + c;
        m = Memory(starts[at], starts[at + row], starts[at + 2u * row], 0.0);
    }
    for (var done = 0u; done < p.chunk; done += 32u) {
        if MARCH {
            workgroupBarrier();
        }
        let t = first + done;
        if live && t < end {
            m = walk(one, t, c, min(32u, end - t), m);
        }
    }
    if !live {
        return;
    }
    if SAVE && chunk == 0u {
        let at = (p.steps + EVERY - 1u) / EVERY * 3u * row + c;
        saved[at] = one.decay;
        saved[at + row] = one.bonus;
    }
    if !EMIT || end == p.steps {
        let at = select(chunk * 3u * row, 0u, EMIT) + c;
        last[at] = m.p;
        last[at + row] = m.q;
        last[at + 2u * row] = exponent(m, one.decay);
    }
}
