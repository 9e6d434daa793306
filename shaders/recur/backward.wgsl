// Backward of a recurrence, from the last step to the first, in one launch. With a = dL/ds[t] of what
// comes after and h = dL/dy[t]:
//
//     gx[t], a, and the gradients of the parameters = retreat(s[t-1], r[t], x[t], a, h)  (package::cell)
//
// x, parameters: as in forward. gs (UPSTREAM & 1): dL of the spikes that were given out as bits, gy
// (UPSTREAM & 2): of what else was emitted, as y in forward; gx: as x. checkpoints:
// [ceil(T / EVERY), STATES, columns], from which states are computed again, EVERY steps at a time, with
// the spikes of `words`. sums: [STATES, columns], dL/ds[T-1] in (if p.resume), dL/ds[-1] out; with LEARN
// [STATES + LEARNED, columns], below these the sums over t of the parameters.
// One invocation a column; loads go EVERY steps ahead.

import package::cell::{add_learned, again, retreat};
import package::recur::launch::{EVERY, PACKED, WG, inputs_at, p, parameters_of, word_at};
import package::shared::index::{Group, group_index};
import package::sizes::{EMITS, FIRES, INPUTS, LEARNED, PARAMETERS, PLANES, STATES};

override LEARN: bool = false;
override UPSTREAM: u32 = 1u;
const SPIKES: u32 = 1u;
const DENSE: u32 = 2u;

@group(0) @binding(2) var<storage, read> gs: array<f32>;
@group(0) @binding(3) var<storage, read> gy: array<f32>;
@group(0) @binding(4) var<storage, read> checkpoints: array<f32>;
@group(0) @binding(5) var<storage, read> words: array<u32>;
@group(0) @binding(6) var<storage, read_write> gx: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// What goes from step to step, backwards.
struct Carry {
    state: array<f32, STATES>,
    parameters: array<f32, LEARNED>,
}

// The gradients of what was emitted at i.
fn above_at(i: u32) -> array<f32, EMITS> {
    let left_out = select(0u, 1u, PACKED);
    var all: array<f32, EMITS>;
    for (var k = 0u; k < EMITS; k++) {
        all[k] = 0.0;
        if k < left_out {
            if (UPSTREAM & SPIKES) != 0u {
                all[k] = gs[i];
            }
        } else if (UPSTREAM & DENSE) != 0u {
            all[k] = gy[(k - left_out) * p.steps * p.columns + i];
        }
    }
    return all;
}

// The step whose elements stand at i, from the state before it.
fn walk_one(
    c: array<f32, PARAMETERS>, last: Carry, i: u32, before: array<f32, STATES>, fired: u32, inputs: array<f32, INPUTS>, above: array<f32, EMITS>
) -> Carry {
    let back = retreat(c, before, inputs, fired, last.state, above);
    var gradients = back.x;
    for (var k = 0u; k < INPUTS; k++) {
        gx[k * p.steps * p.columns + i] = gradients[k];
    }
    var to = Carry(back.state, last.parameters);
    if LEARN {
        to.parameters = add_learned(last.parameters, back.parameters);
    }
    return to;
}

// The steps of a chunk of a column from `begin` on, computed again. EVERY divides 8: a chunk lies within
// a word.
fn walk_chunk(c: array<f32, PARAMETERS>, column: u32, begin: u32, start: Carry) -> Carry {
    let row = p.columns;
    let base = begin * row + column;
    var states: array<array<f32, STATES>, 8>;
    for (var k = 0u; k < STATES; k++) {
        states[0][k] = checkpoints[(begin / EVERY * STATES + k) * row + column];
    }
    // The spikes from `begin` on.
    var planes: array<u32, PLANES>;
    for (var f = 0u; f < FIRES; f++) {
        planes[f] = words[word_at(f, begin, column)] >> (begin % 32u);
    }
    var fired: array<u32, 8>;
    var inputs: array<array<f32, INPUTS>, 8>;
    var above: array<array<f32, EMITS>, 8>;
    for (var k = 0u; k < EVERY; k++) {
        if begin + k < p.end {
            inputs[k] = inputs_at(base + k * row);
            above[k] = above_at(base + k * row);
            fired[k] = 0u;
            for (var f = 0u; f < FIRES; f++) {
                fired[k] |= extractBits(planes[f], k, 1u) << f;
            }
            if k + 1u < EVERY {
                states[k + 1u] = again(c, states[k], inputs[k], fired[k]);
            }
        }
    }
    var carry = start;
    for (var j = 0u; j < EVERY; j++) {
        let k = EVERY - 1u - j;
        if begin + k < p.end {
            carry = walk_one(c, carry, base + k * row, states[k], fired[k], inputs[k], above[k]);
        }
    }
    return carry;
}

fn start_of(column: u32) -> Carry {
    var carry: Carry;
    for (var k = 0u; k < STATES; k++) {
        carry.state[k] = 0.0;
        if p.resume != 0u {
            carry.state[k] = sums[k * p.columns + column];
        }
    }
    for (var k = 0u; k < LEARNED; k++) {
        carry.parameters[k] = 0.0;
        if LEARN && p.resume == 2u {
            carry.parameters[k] = sums[(STATES + k) * p.columns + column];
        }
    }
    return carry;
}

fn store(column: u32, last: Carry) {
    var carry = last;
    for (var k = 0u; k < STATES; k++) {
        sums[k * p.columns + column] = carry.state[k];
    }
    if LEARN {
        for (var k = 0u; k < LEARNED; k++) {
            sums[(STATES + k) * p.columns + column] = carry.parameters[k];
        }
    }
}

@compute @workgroup_size(WG)
fn entry(at: Group, @builtin(local_invocation_index) local: u32) {
    let column = group_index(at) * WG + local;
    let live = column < p.columns;
    let c = parameters_of(select(0u, column, live));
    var carry = start_of(select(0u, column, live));
    let first = p.first / EVERY;
    for (var chunk = (p.end + EVERY - 1u) / EVERY; chunk > first; chunk--) {
        if live {
            carry = walk_chunk(c, column, (chunk - 1u) * EVERY, carry);
        }
    }
    if live {
        store(column, carry);
    }
}
