// Elementary functions to a few units in the last place, whatever the driver's own are worth.

const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;

// e^x for x <= 88; 0 below -87. Cody and Waite's reduction, then the series of e^r on |r| < 0.35.
fn exp_of(x: f32) -> f32 {
    let n = round(clamp(x, -87.0, 88.0) * 1.44269504);
    let r = (clamp(x, -87.0, 88.0) - n * LN2_HIGH) - n * LN2_LOW;
    let tail = 0.5 + r * (1.6666667e-1 + r * (4.1666668e-2 + r * (8.3333333e-3 + r * (1.3888889e-3 + r * 1.9841270e-4))));
    let e = 1.0 + (r + r * r * tail);
    let scaled = e * bitcast<f32>(u32(i32(n) + 127) << 23u);
    return select(scaled, 0.0, x < -87.0);
}

// Likewise of four numbers.
fn exp_of_four(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(exp_of(x.x), exp_of(x.y), exp_of(x.z), exp_of(x.w));
}

// 2 artanh(s) for |s| <= 1/3.
fn twice_artanh(s: f32) -> f32 {
    let q = s * s;
    let tail = q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * (0.07692308 + q * 0.06666667))))));
    return 2.0 * (s + s * tail);
}

// ln x for positive normal x; relative accuracy holds near 1 as well.
fn ln_of(x: f32) -> f32 {
    let bits = bitcast<u32>(x) - 0x3f3504f3u;
    let n = f32(bitcast<i32>(bits) >> 23u);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let f = m - 1.0;
    return n * LN2_HIGH + (n * LN2_LOW + twice_artanh(f / (2.0 + f)));
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
