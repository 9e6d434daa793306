// v[i] <- beta v[i] + rest q[i],  f[i] = 1 / (sqrt(v[i]) + 1e-8)
// factors[i] = f[i] sqrt(sum q / sum (f^2 q)): what neuron i is multiplied with, so that the
// Frobenius norm of all stays. A skipped step leaves v and gives 0.
//
// q: [count] mean squares of neurons; clip: factor, norm, whether this step is skipped, skipped
// steps; v: [count] in place; factors: [count].
// One workgroup: strided sums in registers, then a tree in workgroup memory. With WG = 1 no barrier
// is left.

struct Params {
    count: u32,
    beta: f32,
    rest: f32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> clip: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> factors: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> sums: array<vec2<f32>, 256>;

@compute @workgroup_size(WG)
fn neuron_factors(@builtin(local_invocation_index) local: u32) {
    let skipped = clip[2] != 0.0;
    var sum = vec2(0.0);
    for (var i = local; i < p.count; i += WG) {
        let moment = p.beta * v[i] + p.rest * q[i];
        let factor = select(1.0 / (sqrt(moment) + 1e-8), 0.0, skipped);
        if !skipped {
            v[i] = moment;
        }
        factors[i] = factor;
        sum += vec2(q[i], factor * factor * q[i]);
    }
    sums[local] = sum;
    for (var half = WG / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    workgroupBarrier();
    let total = sums[0];
    // What is not finite in one neuron is in the factors of all.
    var ratio = sqrt(total.x / total.y);
    if total.y == 0.0 {
        ratio = 0.0;
    }
    for (var i = local; i < p.count; i += WG) {
        factors[i] *= ratio;
    }
}
