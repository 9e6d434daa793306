// NaN and infinities, told apart by their bits: a compiler may take it that there are none, so that a
// comparison of floats (x != x) may be compiled away. min, max, clamp and select after a comparison
// drop a NaN; what depends on one must be one.

const SIGN_BIT: u32 = 0x80000000u;
const INFINITY_BITS: u32 = 0x7f800000u;

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > INFINITY_BITS;
}

fn is_infinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == INFINITY_BITS;
}

fn is_not_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & INFINITY_BITS) == INFINITY_BITS;
}

// Whether any of four numbers is not.
fn any_not_finite(x: vec4<f32>) -> bool {
    let exponents = bitcast<vec4<u32>>(x) & vec4<u32>(INFINITY_BITS);
    return any(exponents == vec4<u32>(INFINITY_BITS));
}

// x if it is a NaN, else y.
fn keep_nan(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan(x));
}

fn keep_nan_four(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let magnitude = bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu);
    return select(y, x, magnitude > vec4<u32>(INFINITY_BITS));
}

fn keep_nan_two(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    let magnitude = bitcast<vec2<u32>>(x) & vec2<u32>(0x7fffffffu);
    return select(y, x, magnitude > vec2<u32>(INFINITY_BITS));
}

// A NaN, made of any number: a constant expression may not be one.
fn nan_of(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
}

// NaN in some places of x.
fn nan_where(x: vec4<f32>, places: vec4<bool>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    return bitcast<vec4<f32>>(select(bits, bits | vec4<u32>(0x7fc00000u), places));
}

// The infinity with the sign of x.
fn infinity_of(x: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & SIGN_BIT) | INFINITY_BITS);
}

// The lesser and the greater of two numbers; NaN if either is.
fn least(a: f32, b: f32) -> f32 {
    return keep_nan(a, keep_nan(b, min(a, b)));
}

fn greatest(a: f32, b: f32) -> f32 {
    return keep_nan(a, keep_nan(b, max(a, b)));
}

fn greatest_four(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return keep_nan_four(a, keep_nan_four(b, max(a, b)));
}

fn greatest_two(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return keep_nan_two(a, keep_nan_two(b, max(a, b)));
}

// 1 where the first is the greater, 1/2 where both are equal, else 0; NaN if either is.
fn share_of(first: f32, second: f32) -> f32 {
    let part = select(select(0.0, 1.0, first > second), 0.5, first == second);
    return keep_nan(first, keep_nan(second, part));
}

// x limited to low .. high.
fn limited(x: f32, low: f32, high: f32) -> f32 {
    return keep_nan(x, min(max(x, low), high));
}

// Numbers in the order of the floats, NaN above all; both zeros are one.
fn rank_of(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let rank = select(bits | SIGN_BIT, ~bits, bits >= SIGN_BIT);
    return select(select(rank, SIGN_BIT, (bits << 1u) == 0u), 0xffffffffu, is_nan(x));
}

// -1, 0 or 1.
fn sign_of(x: f32) -> f32 {
    return keep_nan(x, select(select(0.0, -1.0, x < 0.0), 1.0, x > 0.0));
}

// The square root: NaN below 0 and infinite for an infinity, which x / sqrt(x) would not be.
fn root_of(x: f32) -> f32 {
    let root = select(sqrt(x), nan_of(x), x < 0.0);
    return select(root, x, bitcast<u32>(x) == INFINITY_BITS || is_nan(x));
}
