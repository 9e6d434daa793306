// The magnitude of floats by their bits.

// The power of two that brings |value| to [1, 2): to [0, 1) for zero and subnormal numbers, to [1, 4)
// for the largest ones. Scaling by it is exact.
fn to_one(value: f32) -> f32 {
    let exponent = clamp((bitcast<u32>(value) >> 23u) & 0xffu, 1u, 253u);
    return bitcast<f32>((254u - exponent) << 23u);
}
