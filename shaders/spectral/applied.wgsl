// What the kernels of y = r Z X share: operands, read in blocks of 4 x 4, and the part after the sum.
// See `spectral/apply_product.wgsl` for the layout.
//
// Conditions: HALF, a and b are f16; UPDATE, y is a parameter that takes a step along the product.

import package::spectral::quad::{Operand, loaded};
@if(UPDATE) import package::shared::numbers::{FACTOR, RATE};
@if(UPDATE) import package::shared::step::{UpdateConstants, stepped};

struct Params {
    // Rows, columns and depth of the product: multiples of 4.
    m: u32,
    n: u32,
    k: u32,
    // Rows and columns of y.
    rows: u32,
    cols: u32,
    // The matrix that y begins with, and how many it holds.
    first: u32,
    entries: u32,
    // The groups of four rows that this launch covers.
    group_first: u32,
    groups: u32,
    // The step: where the numbers of the parameter's group begin, and the rest of its `UpdateConstants`.
    numbers: u32,
    mode: u32,
    decay: f32,
    scale: f32,
    gain: f32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<storage, read> a: array<Operand>;
@group(0) @binding(1) var<storage, read> b: array<Operand>;
@group(0) @binding(2) var<storage, read> start: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@if(UPDATE) @group(0) @binding(4) var<storage, read> numbers: array<f32>;
@if(UPDATE) @group(0) @binding(5) var<storage, read> clip: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Rows 4 g .. 4 g + 3 of A of matrix e, depths 4 d .. 4 d + 3: a column of the result is a row of A.
// A is stored by its columns if `turned`. Rows beyond the last are those of the last block.
fn a_block(turned: bool, e: u32, g: u32, d: u32) -> mat4x4<f32> {
    let group = min(g, p.m / 4u - 1u);
    let start = e * p.m * (p.k / 4u);
    if turned {
        let stride = p.m / 4u;
        let i = start + 4u * d * stride + group;
        return transpose(mat4x4<f32>(
            loaded(a[i]), loaded(a[i + stride]),
            loaded(a[i + 2u * stride]), loaded(a[i + 3u * stride]),
        ));
    }
    let stride = p.k / 4u;
    let i = start + 4u * group * stride + d;
    return mat4x4<f32>(
        loaded(a[i]), loaded(a[i + stride]), loaded(a[i + 2u * stride]), loaded(a[i + 3u * stride]),
    );
}

// Depths 4 d .. 4 d + 3 of B of matrix e, columns 4 h .. 4 h + 3: a column of the result is a row of B.
fn b_block(e: u32, d: u32, h: u32) -> mat4x4<f32> {
    let stride = p.n / 4u;
    let i = e * p.k * stride + 4u * d * stride + min(h, stride - 1u);
    return mat4x4<f32>(
        loaded(b[i]), loaded(b[i + stride]), loaded(b[i + 2u * stride]), loaded(b[i + 3u * stride]),
    );
}

// Whether this step leaves everything as it is.
@if(UPDATE)
fn skipped() -> bool {
    return clip[2] != 0.0;
}

@if(!UPDATE)
fn skipped() -> bool {
    return false;
}

// What element i of y becomes, from the product's.
@if(UPDATE)
fn outcome(i: u32, u: f32) -> f32 {
    let stride = UpdateConstants(p.mode, p.decay, p.scale, p.gain, p.low, p.high);
    return stepped(y[i], u, numbers[p.numbers + RATE], numbers[p.numbers + FACTOR], stride);
}

@if(!UPDATE)
fn outcome(i: u32, u: f32) -> f32 {
    return u;
}

// What the product of matrix e is multiplied with, from `clip_plan`; 1 unless `scaled`.
fn outer_factor(scaled: bool, e: u32) -> f32 {
    if scaled {
        return start[2u * e].z;
    }
    return 1.0;
}

// Stores block (g, h) of matrix z of y: a column of `block` is a row.
fn put(z: u32, g: u32, h: u32, block: mat4x4<f32>) {
    for (var r = 0u; r < 4u; r++) {
        let row = 4u * g + r;
        if row < p.rows && g < p.group_first + p.groups {
            let start = (z * p.rows + row) * p.cols + 4u * h;
            for (var j = 0u; j < 4u; j++) {
                if 4u * h + j < p.cols {
                    y[start + j] = outcome(start + j, block[r][j]);
                }
            }
        }
    }
}
