// f16 in 16 bits of a u32, by integer arithmetic: the rounding of pack2x16float is the driver's
// choice, and both it and unpack2x16float may flush subnormal numbers.

// The nearest f16, ties to even; beyond +-65504 the largest. Infinities and NaN stay.
fn half_from(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    let rounded = magnitude + 0xfffu + ((magnitude >> 13u) & 1u);
    let normal = min((max(rounded, 0x38000000u) - 0x38000000u) >> 13u, 0x7bffu);
    let subnormal = u32(round(min(abs(x), 1.0) * 16777216.0));
    let finite = select(normal, subnormal, magnitude < 0x38800000u);
    let beyond = select(0x7c00u, 0x7e00u, magnitude > 0x7f800000u);
    return ((bits >> 16u) & 0x8000u) | select(finite, beyond, magnitude >= 0x7f800000u);
}

// The number in the low 16 bits.
fn half_to(bits: u32) -> f32 {
    let magnitude = bits & 0x7fffu;
    let exponent = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
    let normal = bitcast<f32>((magnitude << 13u) + exponent);
    let subnormal = f32(magnitude) * 5.9604644775390625e-8;
    let value = select(normal, subnormal, magnitude < 0x400u);
    return select(value, -value, (bits & 0x8000u) != 0u);
}
