// A recurrence over time, all steps in one launch. Of each column, from a state s[-1]:
//
//     s[t] = advance(s[t-1], r[t-1], x[t])     (package::cell)
//     r[t] = [membrane of s[t] > threshold]    (or >=)
//
// x: [T, columns]; column c is neuron c % neurons. parameters: those that are tensors. states:
// [STATES, columns], s[-1] in (if p.resume), s[T-1] out. save (OUT & 8): the states before every
// EVERY-th step [ceil(T / EVERY), STATES, columns]. words (OUT & 2): [ceil(T / 32), columns], bit
// t % 32 of word t / 32 is r[t]; spikes (OUT & 1): r, 0 or 1, trace (OUT & 4): the membrane, [T, columns].
// One invocation a column; the state stays in registers; loads, which do not depend on it, go eight
// steps ahead; a word is written once.

import package::cell::advance;
import package::recur::launch::{
    EVERY, MARCH, Parameters, State, WG, fires, p, parameters_of, x
};
import package::shared::index::{Group, group_index};
import package::sizes::STATES;

override OUT: u32 = 1u;
const SPIKES: u32 = 1u;
const WORDS: u32 = 2u;
const TRACE: u32 = 4u;
const SAVE: u32 = 8u;

@group(0) @binding(2) var<storage, read_write> states: array<f32>;
@group(0) @binding(3) var<storage, read_write> save: array<f32>;
@group(0) @binding(4) var<storage, read_write> words: array<u32>;
@group(0) @binding(5) var<storage, read_write> spikes: array<f32>;
@group(0) @binding(6) var<storage, read_write> trace: array<f32>;

// Where a column is: its state, whether that fired, and the spikes since the last whole word.
struct Place {
    state: State,
    fired: bool,
    word: u32,
}

// Step t, whose elements stand at i.
fn walk_one(c: Parameters, last: Place, t: u32, i: u32, input: f32) -> Place {
    let state = advance(c, last.state, last.fired, input);
    let fired = fires(c, state);
    if (OUT & SPIKES) != 0u {
        spikes[i] = select(0.0, 1.0, fired);
    }
    if (OUT & TRACE) != 0u {
        trace[i] = state[STATES - 1u];
    }
    return Place(state, fired, last.word | (select(0u, 1u, fired) << (t % 32u)));
}

// Saves the state before step t, if it is one of those that are.
fn checkpoint(column: u32, t: u32, state: State) {
    if (OUT & SAVE) != 0u && t % EVERY == 0u {
        var s = state;
        for (var k = 0u; k < STATES; k++) {
            save[(t / EVERY * STATES + k) * p.columns + column] = s[k];
        }
    }
}

// Steps begin .. end of a column, which one word of spikes holds.
fn walk(c: Parameters, column: u32, begin: u32, end: u32, start: Place) -> Place {
    let row = p.columns;
    var at = Place(start.state, start.fired, 0u);
    var i = begin * row + column;
    var t = begin;
    for (; t + 8u <= end; t += 8u) {
        var inputs: array<f32, 8>;
        for (var k = 0u; k < 8u; k++) {
            inputs[k] = x[i + k * row];
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
        at = walk_one(c, at, t, i, x[i]);
        i += row;
    }
    return at;
}

fn start_of(c: Parameters, column: u32) -> Place {
    var state: State;
    for (var k = 0u; k < STATES; k++) {
        state[k] = 0.0;
        if p.resume != 0u {
            state[k] = states[k * p.columns + column];
        }
    }
    return Place(state, fires(c, state), 0u);
}

@compute @workgroup_size(WG)
fn entry(at: Group, @builtin(local_invocation_index) local: u32) {
    let column = group_index(at) * WG + local;
    let live = column < p.columns;
    let c = parameters_of(select(0u, column, live));
    var place = start_of(c, select(0u, column, live));
    for (var begin = p.first; begin < p.end; begin += 32u) {
        if MARCH {
            workgroupBarrier();
        }
        if live {
            place = walk(c, column, begin, min(begin + 32u, p.end), place);
            if (OUT & WORDS) != 0u {
                words[begin / 32u * p.columns + column] = place.word;
            }
        }
    }
    if live {
        for (var k = 0u; k < STATES; k++) {
            states[k * p.columns + column] = place.state[k];
        }
    }
}
