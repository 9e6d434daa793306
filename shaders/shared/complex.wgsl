// Complex numbers as vectors (re, im).

import package::shared::finite::{greatest, is_infinite, is_nan, is_not_finite, keep_nan, least, nan_of};
import package::shared::magnitude::to_one;

fn conj(z: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(z.x, -z.y);
}

// a b
fn cmul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// a conj(b)
fn cmul_conj(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x + a.y * b.y, a.y * b.x - a.x * b.y);
}

// -i z
fn turned(z: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(z.y, -z.x);
}

// z, and NaN in both parts where either is not finite: every sum that takes it up is NaN in both.
fn tainted(z: vec2<f32>) -> vec2<f32> {
    return select(z, vec2<f32>(nan_of(z.x)), is_not_finite(z.x) || is_not_finite(z.y));
}

// |z|, without overflow or underflow of the squares; infinite if either part is.
fn modulus_of(z: vec2<f32>) -> f32 {
    let a = abs(z);
    if is_infinite(a.x) || is_infinite(a.y) {
        return select(a.y, a.x, is_infinite(a.x));
    }
    let big = greatest(a.x, a.y);
    // WGSL promises little of quotients of numbers near the ends of f32.
    let one = to_one(big);
    let ratio = select(least(a.x, a.y) * one / (big * one), 0.0, big == 0.0);
    return big * sqrt(1.0 + ratio * ratio);
}

// sqrt(a^2 + b^2), NaN if either is; and its derivative by a, 0 at 0.
fn hypot_of(a: f32, b: f32) -> f32 {
    return keep_nan(a, keep_nan(b, modulus_of(vec2<f32>(a, b))));
}

fn hypot_slope(a: f32, b: f32) -> f32 {
    let h = hypot_of(a, b);
    let one = to_one(h);
    return select(a * one / (h * one), 0.0, h == 0.0);
}

// The phase of z in (-pi, pi], 0 at 0: an odd polynomial of tan on |tan| < tan(pi / 8) (S. Moshier,
// Cephes), to a few units in the last place.
fn phase_of(z: vec2<f32>) -> f32 {
    if is_nan(z.x) || is_nan(z.y) {
        return nan_of(z.x);
    }
    // Of order one: sums of the largest numbers would overflow, quotients of the smallest be lost.
    let a = abs(z) * to_one(max(abs(z.x), abs(z.y)));
    let big = max(a.x, a.y);
    let small = min(a.x, a.y);
    let both = is_infinite(a.x) && is_infinite(a.y);
    let far = both || small > 0.41421356 * big;
    var t = select(small / select(big, 1.0, big == 0.0), (small - big) / (small + big), far);
    t = select(t, 0.0, both);
    let q = t * t;
    let tail = -3.33329491539e-1 + q * (1.99777106478e-1 + q * (-1.38776856032e-1 + q * 8.05374449538e-2));
    var angle = t + t * q * tail + select(0.0, 0.7853981634, far);
    angle = select(angle, 1.5707963268 - angle, abs(z.y) > abs(z.x));
    angle = select(angle, 3.1415926536 - angle, z.x < 0.0);
    angle = select(angle, -angle, z.y < 0.0);
    return select(angle, 0.0, big == 0.0);
}
