// Elementary functions to a few units in the last place, whatever the driver's own are worth. A NaN
// stays one.

import package::shared::finite::keep_nan;

const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;

// e^x; 0 below -87 and infinite above 88.7.
fn exp_of(x: f32) -> f32 {
    let held = clamp(x, -87.0, 89.0);
    let n = round(held * 1.44269504);
    // The power of two in two factors: 2^128 is none.
    let power = bitcast<f32>(u32(i32(min(n, 127.0)) + 127) << 23u);
    let scaled = exp_near(held, n) * power * select(1.0, 2.0, n > 127.0);
    return keep_nan(x, select(scaled, 0.0, x < -87.0));
}

// e^x for x <= 0, at less work.
fn exp_below(x: f32) -> f32 {
    let held = max(x, -87.0);
    let n = round(held * 1.44269504);
    let scaled = exp_near(held, n) * bitcast<f32>(u32(i32(n) + 127) << 23u);
    return keep_nan(x, select(scaled, 0.0, x < -87.0));
}

// e^(x - n ln 2). Cody and Waite's reduction, then the series of e^r on |r| < 0.35.
fn exp_near(x: f32, n: f32) -> f32 {
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let tail = 0.5 + r * (1.6666667e-1 + r * (4.1666668e-2 + r * (8.3333333e-3 + r * (1.3888889e-3 + r * 1.9841270e-4))));
    return 1.0 + (r + r * r * tail);
}

// Likewise of four numbers.
fn exp_below_four(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(exp_below(x.x), exp_below(x.y), exp_below(x.z), exp_below(x.w));
}

// 2 artanh(s) for |s| <= 1/3.
fn twice_artanh(s: f32) -> f32 {
    let q = s * s;
    let tail = q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * (0.07692308 + q * 0.06666667))))));
    return 2.0 * (s + s * tail);
}

// ln x: -infinity of 0, NaN below. Relative accuracy holds near 1 as well.
fn ln_of(x: f32) -> f32 {
    let word = bitcast<u32>(x);
    // A subnormal number is a count of 2^-149.
    let subnormal = word < 0x00800000u;
    let bits = select(word, bitcast<u32>(f32(word)), subnormal) - 0x3f3504f3u;
    let n = f32(bitcast<i32>(bits) >> 23u) - select(0.0, 149.0, subnormal);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let f = m - 1.0;
    let value = n * LN2_HIGH + (n * LN2_LOW + twice_artanh(f / (2.0 + f)));
    // 0, infinity, NaN and what is below 0.
    return select(value, ln_beyond(word), word - 1u >= 0x7f7fffffu);
}

fn ln_beyond(word: u32) -> f32 {
    let infinite = select(word | 0x7fc00000u, word, word == 0x7f800000u);
    return bitcast<f32>(select(infinite, 0xff800000u, (word << 1u) == 0u));
}

// ln(1 + x) for x in [0, 1].
fn ln_1p(x: f32) -> f32 {
    return twice_artanh(x / (2.0 + x));
}

// The complementary error function for x >= 0, relative error 1.2e-7 before rounding (Press et al.,
// Numerical Recipes, 2nd edition, section 6.2).
fn erfc_of(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let p = 1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))));
    return t * exp_of(-x * x) * exp_of(-1.26551223 + t * p);
}

// The arc tangent: Cephes' reduction to |t| <= tan(pi / 8), then a polynomial. WGSL's own may be
// wrong by 4096 units in the last place.
fn atan_of(x: f32) -> f32 {
    let a = abs(x);
    var base = 0.0;
    var t = a;
    if a > 2.41421356 {
        base = 1.57079633;
        t = -1.0 / a;
    } else if a > 0.41421356 {
        base = 0.78539816;
        t = (a - 1.0) / (a + 1.0);
    }
    let q = t * t;
    let tail = q * (-3.33329491e-1 + q * (1.99777106e-1 + q * (-1.38776856e-1 + q * 8.05374449e-2)));
    let y = base + (t + t * tail);
    return select(y, -y, x < 0.0);
}
