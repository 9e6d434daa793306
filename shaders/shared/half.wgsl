// f16 in 16 bits of a u32, by integer arithmetic: the rounding of pack2x16float is the driver's
// choice, and both it and unpack2x16float may flush subnormal numbers.

// The nearest f16, ties to even; beyond +-65504 the largest.
fn half_from(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    let rounded = magnitude + 0xfffu + ((magnitude >> 13u) & 1u);
    let normal = min((max(rounded, 0x38000000u) - 0x38000000u) >> 13u, 0x7bffu);
    let subnormal = u32(round(abs(x) * 16777216.0));
    return ((bits >> 16u) & 0x8000u) | select(normal, subnormal, magnitude < 0x38800000u);
}

// The number in the low 16 bits.
fn half_to(bits: u32) -> f32 {
    let magnitude = bits & 0x7fffu;
    let normal = bitcast<f32>((magnitude << 13u) + 0x38000000u);
    let subnormal = f32(magnitude) * 5.9604644775390625e-8;
    let value = select(normal, subnormal, magnitude < 0x400u);
    return select(value, -value, (bits & 0x8000u) != 0u);
}
