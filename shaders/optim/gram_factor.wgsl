// w = r^-1, upper triangular, where g = r^T r: with it, b w has orthonormal columns if g = b^T b.
//   Cholesky:   d[k]^2 = g[k, k] - sum_(j < k) l[k, j]^2
//               l[i, k] = (g[i, k] - sum_(j < k) l[i, j] l[k, j]) / d[k]         i > k
//   inverse:    w[i, j] = -(sum_(i < k <= j) l[k, i] w[k, j]) / d[i],  w[j, j] = 1 / d[j]
// A column that depends on those before it (d^2 <= 1e-6 g[k, k]) becomes 0; one that is not finite makes NaN
// of all that it is in.
//
// g: [n, n] symmetric; l: [n, n] scratch, its diagonal 1 / d; w: [n, n].
// One workgroup, an invocation every WG-th row, then column. With WG = 1 no barrier is left.

import package::shared::finite::{is_not_finite, nan_of};

struct Params {
    n: u32,
}

override WG: u32 = 256u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read_write> l: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// g[i, k] less what the columns before k account for.
fn remainder(i: u32, k: u32) -> f32 {
    var sum = g[i * p.n + k];
    for (var j = 0u; j < k; j++) {
        sum -= l[i * p.n + j] * l[k * p.n + j];
    }
    return sum;
}

fn inverse_column(j: u32) {
    for (var i = j + 1u; i < p.n; i++) {
        w[i * p.n + j] = 0.0;
    }
    w[j * p.n + j] = l[j * p.n + j];
    for (var above = 0u; above < j; above++) {
        let i = j - 1u - above;
        var sum = 0.0;
        for (var k = i + 1u; k <= j; k++) {
            sum += l[k * p.n + i] * w[k * p.n + j];
        }
        w[i * p.n + j] = -sum * l[i * p.n + i];
    }
}

@compute @workgroup_size(WG)
fn gram_factor(@builtin(local_invocation_index) local: u32) {
    for (var k = 0u; k < p.n; k++) {
        // Every invocation computes the diagonal for itself.
        let square = remainder(k, k);
        let sound = square > 1e-6 * g[k * p.n + k];
        let number = select(0.0, 1.0 / sqrt(max(square, 1e-37)), sound);
        let inverse = select(number, nan_of(square), is_not_finite(square));
        // All take the same iterations, some of them for nothing: FXC refuses a barrier beside loops that differ.
        for (var below = k + 1u; below < p.n; below += WG) {
            let i = below + local;
            let entry = remainder(min(i, p.n - 1u), k) * inverse;
            if i < p.n {
                l[i * p.n + k] = entry;
            }
        }
        if WG > 1u {
            storageBarrier();
        }
        if local == 0u {
            l[k * p.n + k] = inverse;
        }
    }
    if WG > 1u {
        storageBarrier();
    }
    for (var j = local; j < p.n; j += WG) {
        inverse_column(j);
    }
}
