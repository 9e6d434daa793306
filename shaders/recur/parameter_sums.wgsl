// Gradients of a recurrence's parameters from the sums over time that its backward left:
//
//     g[n] = sum over b of sums[k, b, n]   (one a neuron)   or   g = sum over b and n   (one number)
//
// sums: [states + parameters, columns], of which the first `states` rows are others'. gradient: those of
// the parameters that are tensors, one behind the other, by FORMS (recur/forms.wgsl).
// A workgroup is 32 neurons by 8 rows of the batch (or, for one number, 256 lanes over all columns);
// each lane adds its share in order, then a fixed tree. groups.z is the parameter.

import package::recur::forms::{FIXED, FORMS, SCALAR};
import package::shared::index::{Group, group_index};

struct Params {
    columns: u32,
    neurons: u32,
    states: u32,
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> partial: array<f32, 256>;

fn form_of(which: u32) -> u32 {
    return (FORMS >> (2u * which)) & 3u;
}

// Where the gradient of a parameter begins.
fn start_of(which: u32) -> u32 {
    var start = 0u;
    for (var k = 0u; k < 8u; k++) {
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
    let tile = group_index(at);
    let scalar = form == SCALAR;
    let n = select(tile * 32u + local % 32u, local, scalar);
    let inside = form != FIXED && select(n < p.neurons, tile == 0u, scalar);
    var total = 0.0;
    if inside {
        let start = select(local / 32u * p.neurons + n, local, scalar);
        let stride = select(8u * p.neurons, 256u, scalar);
        for (var c = start; c < p.columns; c += stride) {
            total += sums[(p.states + which) * p.columns + c];
        }
    }
    partial[local] = total;
    let last = select(32u, 1u, scalar);
    for (var half = 128u; half >= last; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] += partial[local + half];
        }
    }
    if inside && local < last {
        gradient[start_of(which) + select(n, 0u, scalar)] = partial[local];
    }
}
