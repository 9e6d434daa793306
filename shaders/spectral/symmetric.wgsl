// What the kernels of symmetric products C = u I + v A + x B + w A B share: operands, read in blocks
// of 4 x 4, and the part after the sum. See `spectral/symmetric_product.wgsl` for the layout.
// Conditions: HALF, a and b are f16; HALF_OUT, c and second are.

import package::spectral::quad::{Operand, Outcome, loaded, stored};

struct Params {
    // Rows of C, depth: multiples of 4.
    m: u32,
    k: u32,
    // Matrices of a part, and the parts that this launch covers.
    batch: u32,
    part_first: u32,
    parts: u32,
    // The first of the tiles that this launch covers, counted over parts and matrices.
    tile_first: u32,
    tile_count: u32,
    // Rows and columns of a tile.
    edge: u32,
    // The launch's place in a plan, and the launches that a plan holds.
    step: u32,
    steps: u32,
    // Where the second part of C starts, in matrices.
    second_start: u32,
    // The coefficients without a plan.
    u: f32,
    v: f32,
    w: f32,
    x: f32,
}

@group(0) @binding(0) var<storage, read> a: array<Operand>;
@group(0) @binding(1) var<storage, read> b: array<Operand>;
@group(0) @binding(2) var<storage, read> plan: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<Outcome>;
@group(0) @binding(4) var<storage, read_write> second: array<Outcome>;
@group(1) @binding(0) var<uniform> p: Params;

// What a tile belongs to: part and matrix, and where their operands start, in vectors of four.
struct Entry {
    part: u32,
    z: u32,
    a: u32,
    b: u32,
}

fn entry_at(number: u32) -> Entry {
    let part = p.part_first + number / p.batch;
    let z = number % p.batch;
    let size = p.m * (p.k / 4u);
    return Entry(part, z, (part * p.batch + z) * size, z * size);
}

// Tiles along the edge of C, and those on and above the diagonal.
fn edge_tiles() -> u32 {
    return (p.m + p.edge - 1u) / p.edge;
}

fn upper_tiles() -> u32 {
    return edge_tiles() * (edge_tiles() + 1u) / 2u;
}

// u, v, w, x: those of the matrix in `plan` (planned), or those of the parameters; all zero where
// nothing is to be written.
fn coefficients(planned: bool, at: Entry) -> vec4<f32> {
    if planned {
        return plan[(at.z * p.steps + p.step) * 2u + at.part];
    }
    return vec4<f32>(p.u, p.v, p.w, p.x);
}

// The tile (row, column) number `tile` on and above the diagonal of n x n. Rows i and n - 1 - i
// together hold n + 1 of them.
fn upper_tile(tile: u32) -> vec2<u32> {
    let n = edge_tiles();
    let i = tile / (n + 1u);
    let j = tile % (n + 1u);
    if j < n - i {
        return vec2<u32>(i, i + j);
    }
    return vec2<u32>(n - 1u - i, j - 1u);
}

// Rows 4 g .. 4 g + 3 of A, depths 4 d .. 4 d + 3: a column of the result is a row of A. Rows beyond
// the last are those of the last block, and are never stored.
fn a_block(at: Entry, g: u32, d: u32) -> mat4x4<f32> {
    let stride = p.k / 4u;
    let i = at.a + 4u * min(g, p.m / 4u - 1u) * stride + d;
    return mat4x4<f32>(
        loaded(a[i]), loaded(a[i + stride]), loaded(a[i + 2u * stride]), loaded(a[i + 3u * stride]),
    );
}

// Depths 4 d .. 4 d + 3 of B, columns 4 h .. 4 h + 3: a column of the result is a row of B. B is stored
// by its columns (rows): m rows of k elements.
fn b_block(rows: bool, at: Entry, d: u32, h: u32) -> mat4x4<f32> {
    let col = min(h, p.m / 4u - 1u);
    if rows {
        let stride = p.k / 4u;
        let i = at.b + 4u * col * stride + d;
        return transpose(mat4x4<f32>(
            loaded(b[i]), loaded(b[i + stride]), loaded(b[i + 2u * stride]), loaded(b[i + 3u * stride]),
        ));
    }
    let stride = p.m / 4u;
    let i = at.b + 4u * d * stride + col;
    return mat4x4<f32>(
        loaded(b[i]), loaded(b[i + stride]), loaded(b[i + 2u * stride]), loaded(b[i + 3u * stride]),
    );
}

// A block on the diagonal, its lower half from its upper one.
fn mirrored(m: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        m[0],
        vec4<f32>(m[0].y, m[1].yzw),
        vec4<f32>(m[0].z, m[1].z, m[2].zw),
        vec4<f32>(m[0].w, m[1].w, m[2].w, m[3].w),
    );
}

fn put(at: Entry, g: u32, h: u32, block: mat4x4<f32>) {
    let stride = p.m / 4u;
    if at.part == 0u {
        let i = at.z * p.m * stride + 4u * g * stride + h;
        for (var r = 0u; r < 4u; r++) {
            c[i + r * stride] = stored(block[r]);
        }
    } else {
        let i = (p.second_start + at.z) * p.m * stride + 4u * g * stride + h;
        for (var r = 0u; r < 4u; r++) {
            second[i + r * stride] = stored(block[r]);
        }
    }
}

// Stores block (g, h) of C and its mirror image, from the sum of products; nothing below the
// diagonal.
fn finish(rows: bool, at: Entry, factors: vec4<f32>, g: u32, h: u32, sum: mat4x4<f32>) {
    if g > h || h >= p.m / 4u {
        return;
    }
    var block = factors.z * sum;
    if factors.y != 0.0 {
        block += factors.y * a_block(at, g, h);
    }
    if factors.w != 0.0 {
        block += factors.w * b_block(rows, at, g, h);
    }
    if g == h {
        block += mat4x4<f32>(
            factors.x, 0.0, 0.0, 0.0, 0.0, factors.x, 0.0, 0.0,
            0.0, 0.0, factors.x, 0.0, 0.0, 0.0, 0.0, factors.x,
        );
        put(at, g, h, mirrored(block));
    } else {
        put(at, g, h, block);
        put(at, h, g, transpose(block));
    }
}
