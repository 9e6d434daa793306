// C = act(A B + bias), one output an invocation: what the other kernels are measured against.
//
// a: [m, k] ([k, m] if A_T), b: [k, n] ([n, k] if B_T), bias: [n], c: [m, n], added to if ADD.
// One invocation an element of C, which reads a row of A and a column of B.

import package::elementwise::activation::activate;
import package::shared::index::{At, item_index};
import package::linalg::product::Params;

override WG: u32 = 64u;
override A_T: bool = false;
override B_T: bool = false;
override ACT: u32 = 0u;
override ADD: bool = false;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn matmul_naive(at: At) {
    let rows = min(p.m - min(p.m, 4u * p.group_first), 4u * p.groups);
    let i = item_index(at, WG);
    if i >= p.batch * rows * p.n {
        return;
    }
    let col = i % p.n;
    let row = 4u * p.group_first + i / p.n % rows;
    let entry = p.batch_first + i / p.n / rows;
    let start_a = entry * p.stride_a + select(row * p.k, row, A_T);
    let start_b = entry * p.stride_b + select(col, col * p.k, B_T);
    let step_a = select(1u, p.m, A_T);
    let step_b = select(p.n, 1u, B_T);
    var sum = 0.0;
    for (var k = 0u; k < p.k; k++) {
        sum += a[start_a + k * step_a] * b[start_b + k * step_b];
    }
    if p.has_bias != 0u {
        sum += bias[col];
    }
    let place = (entry * p.m + row) * p.n + col;
    sum = activate(ACT, p.slope, sum);
    if ADD {
        sum += c[place];
    }
    c[place] = sum;
}
