// norm = sqrt(sum of partials)
// factor = most / max(norm, most); 0, and the step is skipped, if the sum is not finite, or one of
// the partials that are only checked
//
// partials: [count] at the start of the buffer, then [checked];
// clip: factor, norm, whether this step is skipped, skipped steps (the last is counted on).
// One workgroup: strided sums in registers, then a tree in workgroup memory. With WG = 1 no barrier
// is left.

import package::shared::finite::is_not_finite;

struct Params {
    count: u32,
    checked: u32,
    most: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> clip: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> sums: array<f32, 256>;
var<workgroup> faults: array<u32, 256>;

@compute @workgroup_size(WG)
fn clip_factor(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    var fault = 0u;
    for (var i = local; i < p.count + p.checked; i += WG) {
        sum += select(0.0, partials[i], i < p.count);
        fault |= select(0u, 1u, is_not_finite(partials[i]));
    }
    sums[local] = sum;
    faults[local] = fault;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
            faults[local] |= faults[local + half];
        }
    }
    if local != 0u {
        return;
    }
    if faults[0] != 0u || is_not_finite(sums[0]) {
        clip[0] = 0.0;
        clip[1] = 0.0;
        clip[2] = 1.0;
        clip[3] += 1.0;
    } else {
        let norm = sqrt(sums[0]);
        clip[0] = p.most / max(norm, p.most);
        clip[1] = norm;
        clip[2] = 0.0;
    }
}
