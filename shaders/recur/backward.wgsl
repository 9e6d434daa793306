// Backward of a recurrence, from the last step to the first, in one launch. With a = dL/ds[t] of what
// comes after, j = dL/dr[t] of the reset in the step after (0 if DETACHED):
//
//     q = (gs[t] + j) surrogate(membrane - threshold)
//     a's membrane += q + gtrace[t],   gthreshold -= q
//     gx[t], j, a, and the gradients of the parameters = retreat(s[t-1], r[t-1], x[t], a)  (package::cell)
//
// x, parameters: as in forward. gs (UPSTREAM & 1), gtrace (UPSTREAM & 4), gx: [T, columns]. checkpoints:
// [ceil(T / EVERY), STATES, columns], from which states are computed again, EVERY steps at a time, with
// the spikes of `words`. sums: [STATES, columns], dL/ds[T-1] in (if p.resume), dL/ds[-1] out; with LEARN
// [STATES + PARAMETERS, columns], below these the sums over t of the parameters.
// One invocation a column; loads go EVERY steps ahead.

import package::cell::{advance, retreat};
import package::recur::launch::{
    EVERY, MARCH, Parameters, State, WG, fires, p, parameters_of, x
};
import package::recur::reset::RESET;
import package::shared::index::{Group, group_index};
import package::shared::surrogate::surrogate;
import package::sizes::{PARAMETERS, STATES};

override SURROGATE: u32 = 0u;
override DETACHED: bool = true;
override LEARN: bool = false;
override UPSTREAM: u32 = 1u;
const SPIKES: u32 = 1u;
const TRACE: u32 = 4u;

@group(0) @binding(2) var<storage, read> gs: array<f32>;
@group(0) @binding(3) var<storage, read> gtrace: array<f32>;
@group(0) @binding(4) var<storage, read> checkpoints: array<f32>;
@group(0) @binding(5) var<storage, read> words: array<u32>;
@group(0) @binding(6) var<storage, read_write> gx: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// What goes from step to step, backwards.
struct Carry {
    state: State,
    fired: f32,
    parameters: Parameters,
}

// Whether a reset passes gradient to the spike it follows.
fn jumps() -> bool {
    return !DETACHED && RESET != 0u;
}

// The share of the spike of a membrane, which gets this gradient from above.
fn fire(c: Parameters, last: Carry, membrane: f32, above: f32) -> Carry {
    var to = last;
    // Nothing where nothing comes through the spike, never 0 times the surrogate of a NaN.
    if jumps() || (UPSTREAM & SPIKES) != 0u {
        let of_reset = select(0.0, last.fired, jumps());
        let slope = surrogate(SURROGATE, p.alpha, membrane - c[PARAMETERS - 1u]);
        let q = (above + of_reset) * slope;
        to.state[STATES - 1u] += q;
        to.parameters[PARAMETERS - 1u] -= q;
    }
    to.fired = 0.0;
    return to;
}

// The step whose elements stand at i, from a state that had fired, or not.
fn walk_one(c: Parameters, last: Carry, i: u32, before: State, fired: bool, input: f32) -> Carry {
    var to = last;
    if (UPSTREAM & TRACE) != 0u {
        to.state[STATES - 1u] += gtrace[i];
    }
    let back = retreat(c, before, fired, input, to.state);
    gx[i] = back.x;
    to.state = back.state;
    to.fired = back.fired;
    if LEARN {
        var gradients = back.parameters;
        for (var k = 0u; k < PARAMETERS; k++) {
            to.parameters[k] += gradients[k];
        }
    }
    return to;
}

// The steps of a chunk of a column from `begin` on, computed again. EVERY divides 8: a chunk lies within
// a word.
fn walk_chunk(c: Parameters, column: u32, begin: u32, start: Carry) -> Carry {
    let row = p.columns;
    let base = begin * row + column;
    // Before each step and after the last.
    var states: array<State, 9>;
    for (var k = 0u; k < STATES; k++) {
        states[0][k] = checkpoints[(begin / EVERY * STATES + k) * row + column];
    }
    // Bit k: whether the state before step k had fired.
    let word = words[begin / 32u * row + column] >> (begin % 32u);
    let bits = (word << 1u) | select(0u, 1u, fires(c, states[0]));
    var inputs: array<f32, 8>;
    var above: array<f32, 8>;
    for (var k = 0u; k < EVERY; k++) {
        if begin + k < p.end {
            inputs[k] = x[base + k * row];
            if (UPSTREAM & SPIKES) != 0u {
                above[k] = gs[base + k * row];
            }
            states[k + 1u] = advance(c, states[k], ((bits >> k) & 1u) != 0u, inputs[k]);
        }
    }
    var carry = start;
    for (var j = 0u; j < EVERY; j++) {
        let k = EVERY - 1u - j;
        if begin + k < p.end {
            carry = fire(c, carry, states[k + 1u][STATES - 1u], above[k]);
            let fired = ((bits >> k) & 1u) != 0u;
            carry = walk_one(c, carry, base + k * row, states[k], fired, inputs[k]);
        }
    }
    // The reset of the first step, whose spike is one of the steps before.
    if jumps() && begin == p.first {
        carry = fire(c, carry, states[0][STATES - 1u], 0.0);
    }
    return carry;
}

fn start_of(column: u32) -> Carry {
    var carry: Carry;
    carry.fired = 0.0;
    for (var k = 0u; k < STATES; k++) {
        carry.state[k] = 0.0;
        if p.resume != 0u {
            carry.state[k] = sums[k * p.columns + column];
        }
    }
    for (var k = 0u; k < PARAMETERS; k++) {
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
        for (var k = 0u; k < PARAMETERS; k++) {
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
    for (var chunk = (p.end + EVERY - 1u) / EVERY; chunk * EVERY > p.first; chunk--) {
        if MARCH && chunk * EVERY % 32u == 0u {
            workgroupBarrier();
        }
        if live {
            carry = walk_chunk(c, column, (chunk - 1u) * EVERY, carry);
        }
    }
    if live {
        store(column, carry);
    }
}
