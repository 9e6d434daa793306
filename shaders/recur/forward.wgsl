// A recurrence over time, all steps in one launch. Of each column, from a state s[-1]:
//
//     s[t], y[t], r[t] = advance(s[t-1], x[t])     (package::cell; r are the spikes among the equations)
//
// x: [INPUTS, T, columns]; column c is neuron c % neurons. parameters: those that are tensors. states:
// [STATES, columns], s[-1] in (if p.resume), s[T-1] out. save (OUT & 8): the states before every
// EVERY-th step [ceil(T / EVERY), STATES, columns]. words (OUT & 2): [FIRES, ceil(T / 32), columns], bit
// t % 32 of word t / 32 is r[t]; y (OUT & 1): what is emitted, [EMITS, T, columns], without the first
// of them if that is given out as bits.
// One invocation a column; the state stays in registers; loads, which do not depend on it, go eight
// steps ahead; a word is written once.

import package::cell::advance;
import package::recur::launch::{EVERY, MARCH, PACKED, WG, inputs_at, p, parameters_of, word_at};
import package::shared::index::{Group, group_index};
import package::sizes::{EMITS, FIRES, INPUTS, PARAMETERS, STATES};

override OUT: u32 = 1u;
const DENSE: u32 = 1u;
const WORDS: u32 = 2u;
const SAVE: u32 = 8u;

@group(0) @binding(2) var<storage, read_write> states: array<f32>;
@group(0) @binding(3) var<storage, read_write> save: array<f32>;
@group(0) @binding(4) var<storage, read_write> words: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// Where a column is: its state, and the spikes since the last whole word.
struct Place {
    state: array<f32, STATES>,
    words: vec4<u32>,
}

// Step t, whose elements stand at i.
fn walk_one(c: array<f32, PARAMETERS>, last: Place, t: u32, i: u32, inputs: array<f32, INPUTS>) -> Place {
    let step = advance(c, last.state, inputs);
    if (OUT & DENSE) != 0u {
        let left_out = select(0u, 1u, PACKED);
        var emits = step.emits;
        for (var k = 0u; k < EMITS; k++) {
            if k >= left_out {
                y[(k - left_out) * p.steps * p.columns + i] = emits[k];
            }
        }
    }
    var at = Place(step.state, last.words);
    // No element is chosen by a variable: FXC cannot keep such an array from step to step.
    at.words |= ((vec4(step.fired) >> vec4(0u, 1u, 2u, 3u)) & vec4(1u)) << vec4(t % 32u);
    return at;
}

// Saves the state before step t, if it is one of those that are.
fn checkpoint(column: u32, t: u32, state: array<f32, STATES>) {
    if (OUT & SAVE) != 0u && t % EVERY == 0u {
        var s = state;
        for (var k = 0u; k < STATES; k++) {
            save[(t / EVERY * STATES + k) * p.columns + column] = s[k];
        }
    }
}

// Steps begin .. end of a column, which one word of spikes holds.
fn walk(c: array<f32, PARAMETERS>, column: u32, begin: u32, end: u32, start: array<f32, STATES>) -> Place {
    let row = p.columns;
    var at: Place;
    at.state = start;
    var i = begin * row + column;
    var t = begin;
    for (; t + 8u <= end; t += 8u) {
        var inputs: array<array<f32, INPUTS>, 8>;
        for (var k = 0u; k < 8u; k++) {
            inputs[k] = inputs_at(i + k * row);
        }
        for (var k = 0u; k < 8u; k++) {
            // t is a multiple of 8: most of these are known to be false.
            if k % EVERY == 0u {
                checkpoint(column, t + k, at.state);
            }
            at = walk_one(c, at, t + k, i + k * row, inputs[k]);
        }
        i += 8u * row;
    }
    for (; t < end; t++) {
        checkpoint(column, t, at.state);
        at = walk_one(c, at, t, i, inputs_at(i));
        i += row;
    }
    return at;
}

fn start_of(column: u32) -> array<f32, STATES> {
    var state: array<f32, STATES>;
    for (var k = 0u; k < STATES; k++) {
        state[k] = 0.0;
        if p.resume != 0u {
            state[k] = states[k * p.columns + column];
        }
    }
    return state;
}

@compute @workgroup_size(WG)
fn entry(at: Group, @builtin(local_invocation_index) local: u32) {
    let column = group_index(at) * WG + local;
    let live = column < p.columns;
    let c = parameters_of(select(0u, column, live));
    var state = start_of(select(0u, column, live));
    for (var begin = p.first; begin < p.end; begin += 32u) {
        if MARCH {
            workgroupBarrier();
        }
        if live {
            var place = walk(c, column, begin, min(begin + 32u, p.end), state);
            state = place.state;
            if (OUT & WORDS) != 0u {
                for (var k = 0u; k < FIRES; k++) {
                    words[word_at(k, begin, column)] = place.words[k];
                }
            }
        }
    }
    if live {
        for (var k = 0u; k < STATES; k++) {
            states[k * p.columns + column] = state[k];
        }
    }
}
