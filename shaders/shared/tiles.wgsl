// Tiles of 64 x 64 of a product A B in workgroup memory (8 KiB), in steps of 16 in depth: of 128
// invocations half bring blocks of 4 x 4 of A, half of B, then each multiplies 8 rows x 4 columns.

// Blocks of depth of a step.
const STEP: u32 = 4u;

// For each depth of the step, 64 rows of A as 16 vectors; likewise 64 columns of B.
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;

// Whether an invocation brings blocks of A.
fn brings_a(local: u32) -> bool {
    return local < 64u;
}

// The block that it brings: its depth, and its rows or columns, in blocks.
fn brought(local: u32) -> vec2<u32> {
    return vec2<u32>(local % 64u / 16u, local % 16u);
}

// A block of A, a column of it being a row.
fn bring_a(at: vec2<u32>, block: mat4x4<f32>) {
    let turned = transpose(block);
    for (var i = 0u; i < 4u; i++) {
        tile_a[(4u * at.x + i) * 16u + at.y] = turned[i];
    }
}

// A block of B, a column of it being a row.
fn bring_b(at: vec2<u32>, block: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        tile_b[(4u * at.x + i) * 16u + at.y] = block[i];
    }
}

// What an invocation multiplies: the blocks of rows 2 place.x and 2 place.x + 1, and of columns place.y.
fn place_of(local: u32) -> vec2<u32> {
    return vec2<u32>(local / 16u, local % 16u);
}

// Adds the products of a step to both blocks, a column of them being a row.
fn multiply(place: vec2<u32>, sums: ptr<function, array<mat4x4<f32>, 2>>) {
    for (var k = 0u; k < 4u * STEP; k++) {
        let b = tile_b[k * 16u + place.y];
        let a0 = tile_a[k * 16u + 2u * place.x];
        let a1 = tile_a[k * 16u + 2u * place.x + 1u];
        (*sums)[0] += mat4x4<f32>(a0.x * b, a0.y * b, a0.z * b, a0.w * b);
        (*sums)[1] += mat4x4<f32>(a1.x * b, a1.y * b, a1.z * b, a1.w * b);
    }
}

// The sum over a step of the columns of B of a place.
fn column_sums(place: vec2<u32>) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < 4u * STEP; k++) {
        sum += tile_b[k * 16u + place.y];
    }
    return sum;
}
