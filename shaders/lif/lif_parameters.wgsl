// Gradients of a LIF layer's parameters from the sums over time that lif_backward left:
//
//     g[n] = sum over b of sums[k, b, n]   (form EACH)    or    g = sum over b and n   (form SCALAR)
//
// sums: [5, columns]: dL/dv[-1], decay, threshold, gain, gh[0]. v0: [columns], v[-1], whose share
// gh[0] v[-1] of the gradient of decay is added here (if STATE). Outputs [neurons] or [1]; those of
// form FIXED are not touched.
// Shares of lanes: shared/batch.wgsl. groups.z is the parameter.

import package::shared::batch::{share_of, sum_of_lanes, writes};
import package::shared::forms::{FIXED, SCALAR};
import package::shared::index::{Group, group_index};

struct Params {
    columns: u32,
    neurons: u32,
}

override DECAY: u32 = 0u;
override THRESHOLD: u32 = 0u;
override GAIN: u32 = 0u;
override STATE: bool = false;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> v0: array<f32>;
@group(0) @binding(2) var<storage, read_write> gdecay: array<f32>;
@group(0) @binding(3) var<storage, read_write> gthreshold: array<f32>;
@group(0) @binding(4) var<storage, read_write> ggain: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn term(which: u32, c: u32) -> f32 {
    let sum = sums[(which + 1u) * p.columns + c];
    if STATE && which == 0u {
        return sum + sums[4u * p.columns + c] * v0[c];
    }
    return sum;
}

@compute @workgroup_size(256)
fn lif_parameters(at: Group, @builtin(local_invocation_index) local: u32) {
    let which = at.group.z;
    var form = DECAY;
    if which == 1u {
        form = THRESHOLD;
    } else if which == 2u {
        form = GAIN;
    }
    let single = form == SCALAR;
    let share = share_of(group_index(at), local, p.columns, p.neurons, single);
    var total = 0.0;
    if form != FIXED {
        for (var c = share.begin; c < share.end; c += share.stride) {
            total += term(which, c);
        }
    }
    let sum = sum_of_lanes(total, local, single);
    if form != FIXED && writes(share, local, single) {
        if which == 0u {
            gdecay[share.place] = sum;
        } else if which == 1u {
            gthreshold[share.place] = sum;
        } else {
            ggain[share.place] = sum;
        }
    }
}
