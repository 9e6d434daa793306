// What both directions of a recurrence share: what a launch is told, a column's parameters, firing.
//
// The last state of a cell is its membrane, its last parameter the threshold.

import package::recur::forms::form_of;
import package::shared::forms::{FIXED, SCALAR};
import package::sizes::{PARAMETERS, STATES};

alias State = array<f32, STATES>;
alias Parameters = array<f32, PARAMETERS>;

// What `retreat` of a cell gives: dL/dx, dL/dfired, and of the state before the step and the parameters.
struct Gradient {
    x: f32,
    fired: f32,
    state: State,
    parameters: Parameters,
}

// Fire above the threshold, not at it.
override STRICT: bool = false;
// Steps between the states that are saved; divides 8.
override EVERY: u32 = 8u;
// Lanes of a workgroup wait for each other every 32 steps. A software adapter would take a few lanes
// through all steps before the next, and lose the caches.
override MARCH: bool = false;
override WG: u32 = select(128u, 256u, MARCH);

struct RecurParams {
    columns: u32,
    neurons: u32,
    // The steps of the launch, first .. end; first is a multiple of 32.
    first: u32,
    end: u32,
    // What a launch goes on from: 1 states or their gradients, 2 sums too.
    resume: u32,
    // The surrogate's parameter.
    alpha: f32,
    // The oracle's alone: 1 and the number of the surrogate whose integral takes the place of spikes.
    relaxed: u32,
    // The fixed parameters.
    values_0: f32,
    values_1: f32,
    values_2: f32,
    values_3: f32,
    values_4: f32,
    values_5: f32,
    values_6: f32,
    values_7: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(1) @binding(0) var<uniform> p: RecurParams;

// Those of a column. The tensors among them stand in `parameters`, one behind the other.
fn parameters_of(column: u32) -> Parameters {
    var fixed = array<f32, 8>(
        p.values_0, p.values_1, p.values_2, p.values_3, p.values_4, p.values_5, p.values_6, p.values_7,
    );
    var all: Parameters;
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

fn fires(c: Parameters, s: State) -> bool {
    let membrane = s[STATES - 1u];
    let threshold = c[PARAMETERS - 1u];
    return select(membrane >= threshold, membrane > threshold, STRICT);
}
