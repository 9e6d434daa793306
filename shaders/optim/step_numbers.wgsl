// For every group: numbers <- inputs, with the bias corrections of the steps that were not skipped:
//   t = age - (skipped - mark), mark <- skipped where the group restarts
//   c1 = 1 / (1 - beta1^t)      c2 = 1 / sqrt(1 - beta2^t)      eps <- eps c2 where asked for
//
// inputs: [groups, 14], like the numbers but with ln beta1 and ln beta2 for c1 and c2, the age for
// the mark, then whether the group restarts and whether eps stands inside of the correction;
// clip: factor, norm, whether the step is skipped, skipped steps; numbers: [groups, 12].
// One invocation a group.

import package::shared::math::exp_of;
import package::shared::numbers::{CORRECT1, CORRECT2, EPS, MARK, COUNT};

struct Params {
    groups: u32,
}

const INPUTS: u32 = 14u;
const RESTART: u32 = 12u;
const INSIDE: u32 = 13u;

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> inputs: array<f32>;
@group(0) @binding(1) var<storage, read> clip: array<f32>;
@group(0) @binding(2) var<storage, read_write> numbers: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// 1 - e^x for x <= 0, without cancellation.
fn rest_of_exp(x: f32) -> f32 {
    let series = 1.0 + x * (0.5 + x * (1.6666667e-1 + x * (4.1666668e-2 + x * (8.3333333e-3 + x * (1.3888889e-3 + x * 1.9841270e-4)))));
    return select(1.0 - exp_of(x), -x * series, x > -0.35);
}

@compute @workgroup_size(WG)
fn step_numbers(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.groups {
        return;
    }
    let source = id.x * INPUTS;
    let place = id.x * COUNT;
    let mark = select(numbers[place + MARK], clip[3], inputs[source + RESTART] != 0.0);
    for (var k = 0u; k < MARK; k++) {
        numbers[place + k] = inputs[source + k];
    }
    numbers[place + MARK] = mark;
    let t = max(inputs[source + MARK] - (clip[3] - mark), 1.0);
    let correct2 = 1.0 / sqrt(rest_of_exp(t * inputs[source + CORRECT2]));
    numbers[place + CORRECT1] = 1.0 / rest_of_exp(t * inputs[source + CORRECT1]);
    numbers[place + CORRECT2] = correct2;
    numbers[place + EPS] = inputs[source + EPS] * select(1.0, correct2, inputs[source + INSIDE] != 0.0);
}
