// Gradients of a recurrence's parameters from the sums over time that its backward left:
//
//     g[n] = sum over b of sums[k, b, n]   (one a neuron)   or   g = sum over b and n   (one number)
//
// sums: [states + parameters, columns], of which the first `states` rows are others'. gradient: those of
// the parameters that are tensors, one behind the other, by FORMS (recur/forms.wgsl).
// Shares of lanes: shared/batch.wgsl. groups.z is the parameter.

import package::recur::forms::form_of;
import package::shared::batch::{share_of, sum_of_lanes, writes};
import package::shared::forms::{FIXED, SCALAR};
import package::shared::index::{Group, group_index};

struct Params {
    columns: u32,
    neurons: u32,
    states: u32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Where the gradient of a parameter begins.
fn start_of(which: u32) -> u32 {
    var start = 0u;
    for (var k = 0u; k < 16u; k++) {
        let form = form_of(k);
        let count = select(p.neurons, 1u, form == SCALAR);
        start += select(0u, count, k < which && form != FIXED);
    }
    return start;
}

@compute @workgroup_size(256)
fn parameter_sums(at: Group, @builtin(local_invocation_index) local: u32) {
    let which = at.group.z;
    let form = form_of(which);
    let single = form == SCALAR;
    let share = share_of(group_index(at), local, p.columns, p.neurons, single);
    var total = 0.0;
    if form != FIXED {
        for (var c = share.begin; c < share.end; c += share.stride) {
            total += sums[(p.states + which) * p.columns + c];
        }
    }
    let sum = sum_of_lanes(total, local, single);
    if form != FIXED && writes(share, local, single) {
        gradient[start_of(which) + share.place] = sum;
    }
}
