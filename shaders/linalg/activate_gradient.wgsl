// gz = gy act'(z)                                    the gradient through the epilogue of a product
//
// gy: [count]; saved: [count], z, or y = act(z) if FROM_OUTPUT (for activations whose derivative is
// a function of their value); gz: [count] output.
// One invocation an element.

import package::elementwise::activation::{
    activate_derivative, Relu, LeakyRelu, Sigmoid, Tanh, Softplus,
};
import package::shared::finite::keep_nan;
import package::shared::index::{At, item_index};
import package::shared::math::exp_below;

struct Params {
    count: u32,
    slope: f32,
}

override WG: u32 = 64u;
override ACT: u32 = 0u;
override FROM_OUTPUT: bool = false;

@group(0) @binding(0) var<storage, read> gy: array<f32>;
@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read_write> gz: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn derivative_from_output(y: f32) -> f32 {
    switch ACT {
        case Sigmoid: { return y * (1.0 - y); }
        case Tanh: { return 1.0 - y * y; }
        case Softplus: { return 1.0 - exp_below(-y); }
        default: { return keep_nan(y, select(p.slope, 1.0, y > 0.0)); }
    }
}

@compute @workgroup_size(WG)
fn activate_gradient(at: At) {
    let i = item_index(at, WG);
    if i < p.count {
        let first = saved[i];
        if FROM_OUTPUT {
            gz[i] = gy[i] * derivative_from_output(first);
        } else {
            gz[i] = gy[i] * activate_derivative(ACT, p.slope, first);
        }
    }
}
