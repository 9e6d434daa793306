// norm = sqrt(sum of partials)
// root = sqrt(most / max(norm, most)), with which gradients are multiplied twice: the factor itself may be
// too small for f32; 0, and the step is skipped, if an element is not finite, or one of those that are
// only checked
//
// partials: [count] vectors of `square_sums` at the start of the buffer, then [checked];
// clip: root, norm (at most the largest float), whether this step is skipped, skipped steps (the last is
// counted on).
// One workgroup: strided sums in registers, then a tree in workgroup memory. With WG = 1 no barrier
// is left.

import package::shared::finite::is_not_finite;
import package::shared::squares::{DOWN, UP, root_of_squares};

struct Params {
    count: u32,
    checked: u32,
    most: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> clip: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

const MOST: f32 = 3.4028234663852886e38;
// sqrt(UP) and sqrt(DOWN)
const ROOT_UP: f32 = 3.5184372088832e13;
const ROOT_DOWN: f32 = 2.842170943040401e-14;

var<workgroup> sums: array<vec4<f32>, 256>;

@compute @workgroup_size(WG)
fn clip_factor(@builtin(local_invocation_index) local: u32) {
    var sum = vec4<f32>(0.0);
    for (var i = local; i < p.count + p.checked; i += WG) {
        let part = partials[i];
        sum += vec4<f32>(select(vec3<f32>(0.0), part.xyz, i < p.count), part.w);
    }
    sums[local] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    if local != 0u {
        return;
    }
    if sums[0].w > 0.0 {
        clip[0] = 0.0;
        clip[1] = 0.0;
        clip[2] = 1.0;
        clip[3] += 1.0;
        return;
    }
    let root = root_of_squares(sums[0].xyz);
    let scale = root.y;
    let norm = min(root.x, select(MOST, MOST * DOWN, scale > 1.0)) * scale;
    let root_scale = select(select(1.0, ROOT_UP, scale > 1.0), ROOT_DOWN, scale < 1.0);
    var factor = 1.0;
    if norm > p.most {
        factor = sqrt(p.most) / (sqrt(root.x) * root_scale);
    }
    clip[0] = factor;
    clip[1] = norm;
    clip[2] = 0.0;
}
