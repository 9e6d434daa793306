// Blocks of 4 x 4 that matrix products are made of.

// Four consecutive indices from `first`, none above `last`.
fn four(first: u32, last: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(last));
}

// Steps 4 q .. 4 q + 3 of four words of packed spikes: one column a step.
fn spikes(words: vec4<u32>, q: u32) -> mat4x4<f32> {
    let w = words >> vec4<u32>(4u * q % 32u);
    let one = vec4<u32>(1u);
    return mat4x4<f32>(
        vec4<f32>(w & one), vec4<f32>((w >> one) & one),
        vec4<f32>((w >> vec4<u32>(2u)) & one), vec4<f32>((w >> vec4<u32>(3u)) & one),
    );
}

// Which of four depths from k0 on are below `end`. What a block reads beyond is taken out of both
// operands: 0 times an infinity that happens to stand there would be NaN.
fn depth_mask(k0: u32, end: u32) -> vec4<bool> {
    return vec4<u32>(k0, k0 + 1u, k0 + 2u, k0 + 3u) < vec4<u32>(end);
}

// A block of A, whose columns run along the depth.
fn masked(m: mat4x4<f32>, mask: vec4<bool>) -> mat4x4<f32> {
    let zero = vec4<f32>(0.0);
    return mat4x4<f32>(
        select(zero, m[0], mask), select(zero, m[1], mask),
        select(zero, m[2], mask), select(zero, m[3], mask),
    );
}

// A block of B, each of whose columns is of one depth.
fn masked_rows(m: mat4x4<f32>, mask: vec4<bool>) -> mat4x4<f32> {
    let zero = vec4<f32>(0.0);
    return mat4x4<f32>(
        select(zero, m[0], mask.x), select(zero, m[1], mask.y),
        select(zero, m[2], mask.z), select(zero, m[3], mask.w),
    );
}
