// What both directions of a recurrence share: what a launch is told, and a column's numbers.

import package::recur::forms::form_of;
import package::shared::forms::{FIXED, SCALAR};
import package::sizes::{EMITS, INPUTS, LEARNED, PARAMETERS, STATES};

// Arrays have no names: DX12's shaders, as naga writes them, cannot have two names of one type.

// What `advance` of a cell gives: the state after the step, what it emits, and which spikes were fired.
struct Step {
    state: array<f32, STATES>,
    emits: array<f32, EMITS>,
    fired: u32,
}

// PARAMETERS are parameters, and behind them those of the surrogates; LEARNED the parameters alone.
// What `retreat` of a cell gives: the gradients of the inputs, of the state before the step, and of the
// parameters.
struct Gradient {
    x: array<f32, INPUTS>,
    state: array<f32, STATES>,
    parameters: array<f32, LEARNED>,
}

// Whether what is emitted first are the spikes, given out as bits.
override PACKED: bool = false;
// Steps between the states that are saved; divides 8.
override EVERY: u32 = 8u;
// Larger workgroups, whose lanes wait for each other every 32 steps forward. A software adapter would take a
// few lanes through all steps before the next, and lose the caches. (Backward has no barrier: FXC refuses one
// in its loop.)
override MARCH: bool = false;
override WG: u32 = select(128u, 256u, MARCH);

struct RecurParams {
    columns: u32,
    neurons: u32,
    // All steps, and those of the launch, first .. end; first is a multiple of 32.
    steps: u32,
    first: u32,
    end: u32,
    // What a launch goes on from: 1 states or their gradients, 2 sums too.
    resume: u32,
    // The oracle's alone: the number of the equations, and whether they are smooth.
    definition: u32,
    relaxed: u32,
    // Numbers that are fixed.
    values_0: f32,
    values_1: f32,
    values_2: f32,
    values_3: f32,
    values_4: f32,
    values_5: f32,
    values_6: f32,
    values_7: f32,
    values_8: f32,
    values_9: f32,
    values_10: f32,
    values_11: f32,
    values_12: f32,
    values_13: f32,
    values_14: f32,
    values_15: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(1) @binding(0) var<uniform> p: RecurParams;

// Those of a column. The tensors among them stand in `parameters`, one behind the other.
fn parameters_of(column: u32) -> array<f32, PARAMETERS> {
    var fixed = array<f32, 16>(
        p.values_0, p.values_1, p.values_2, p.values_3, p.values_4, p.values_5, p.values_6, p.values_7,
        p.values_8, p.values_9, p.values_10, p.values_11, p.values_12, p.values_13, p.values_14,
        p.values_15,
    );
    var all: array<f32, PARAMETERS>;
    var start = 0u;
    for (var k = 0u; k < PARAMETERS; k++) {
        let form = form_of(k);
        if form == FIXED {
            all[k] = fixed[k];
        } else {
            all[k] = parameters[start + select(column % p.neurons, 0u, form == SCALAR)];
            start += select(p.neurons, 1u, form == SCALAR);
        }
    }
    return all;
}

// The inputs of a step whose elements stand at i in each of them.
fn inputs_at(i: u32) -> array<f32, INPUTS> {
    var all: array<f32, INPUTS>;
    for (var k = 0u; k < INPUTS; k++) {
        all[k] = x[k * p.steps * p.columns + i];
    }
    return all;
}

// Where the words of spike k of the steps around t stand, of a column.
fn word_at(k: u32, t: u32, column: u32) -> u32 {
    return (k * ((p.steps + 31u) / 32u) + t / 32u) * p.columns + column;
}
