// Gradients of a LIF layer's parameters from the sums over time that lif_backward left:
//
//     g[n] = sum over b of sums[k, b, n]   (form EACH)    or    g = sum over b and n   (form SCALAR)
//
// sums: [5, columns]: dL/dv[-1], decay, threshold, gain, gh[0]. v0: [columns], v[-1], whose share
// gh[0] v[-1] of the gradient of decay is added here (if STATE). Outputs [neurons] or [1]; those of
// form FIXED are not touched.
// A workgroup is 32 neurons by 8 rows of the batch (or, for a scalar, 256 lanes over all columns);
// each lane adds its share in order, then a fixed tree. groups.z is the parameter.

import package::shared::index::{Group, group_index};
import package::lif::membrane::{FIXED, SCALAR};

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

var<workgroup> partial: array<f32, 256>;

fn share(which: u32, c: u32) -> f32 {
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
    let tile = group_index(at);
    let scalar = form == SCALAR;
    let n = select(tile * 32u + local % 32u, local, scalar);
    let inside = form != FIXED && select(n < p.neurons, tile == 0u, scalar);
    var total = 0.0;
    if inside {
        let start = select(local / 32u * p.neurons + n, local, scalar);
        let stride = select(8u * p.neurons, 256u, scalar);
        for (var c = start; c < p.columns; c += stride) {
            total += share(which, c);
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
        if which == 0u {
            gdecay[select(n, 0u, scalar)] = partial[local];
        } else if which == 1u {
            gthreshold[select(n, 0u, scalar)] = partial[local];
        } else {
            ggain[select(n, 0u, scalar)] = partial[local];
        }
    }
}
