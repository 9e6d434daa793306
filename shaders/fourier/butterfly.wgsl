// Butterflies: discrete Fourier transforms of 2, 3, 4, 5, 7 and 8 points in registers,
// X_k = sum_q x_q exp(-2 pi i k q / R).

import package::shared::complex::turned;

struct Two { a: vec2<f32>, b: vec2<f32> }
struct Three { a: vec2<f32>, b: vec2<f32>, c: vec2<f32> }
struct Four { a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32> }
struct Five { a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32>, e: vec2<f32> }
struct Seven {
    a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32>, e: vec2<f32>, f: vec2<f32>, g: vec2<f32>,
}
struct Eight {
    a: vec2<f32>, b: vec2<f32>, c: vec2<f32>, d: vec2<f32>,
    e: vec2<f32>, f: vec2<f32>, g: vec2<f32>, h: vec2<f32>,
}

fn butterfly2(v: Two) -> Two {
    return Two(v.a + v.b, v.a - v.b);
}

fn butterfly3(v: Three) -> Three {
    let t = v.b + v.c;
    let m = v.a - 0.5 * t;
    let n = 0.8660254037844386 * turned(v.b - v.c);
    return Three(v.a + t, m + n, m - n);
}

fn butterfly4(v: Four) -> Four {
    let s = v.a + v.c;
    let d = v.a - v.c;
    let t = v.b + v.d;
    let u = turned(v.b - v.d);
    return Four(s + t, d + u, s - t, d - u);
}

fn butterfly5(v: Five) -> Five {
    const C1: f32 = 0.30901699437494745;
    const C2: f32 = -0.8090169943749475;
    const S1: f32 = 0.9510565162951535;
    const S2: f32 = 0.5877852522924731;
    let t1 = v.b + v.e;
    let t2 = v.c + v.d;
    let u1 = turned(v.b - v.e);
    let u2 = turned(v.c - v.d);
    let m1 = v.a + C1 * t1 + C2 * t2;
    let m2 = v.a + C2 * t1 + C1 * t2;
    let n1 = S1 * u1 + S2 * u2;
    let n2 = S2 * u1 - S1 * u2;
    return Five(v.a + t1 + t2, m1 + n1, m2 + n2, m2 - n2, m1 - n1);
}

fn butterfly7(v: Seven) -> Seven {
    const C1: f32 = 0.6234898018587336;
    const C2: f32 = -0.2225209339563144;
    const C3: f32 = -0.9009688679024191;
    const S1: f32 = 0.7818314824680298;
    const S2: f32 = 0.9749279121818236;
    const S3: f32 = 0.4338837391175582;
    let t1 = v.b + v.g;
    let t2 = v.c + v.f;
    let t3 = v.d + v.e;
    let u1 = turned(v.b - v.g);
    let u2 = turned(v.c - v.f);
    let u3 = turned(v.d - v.e);
    let m1 = v.a + C1 * t1 + C2 * t2 + C3 * t3;
    let m2 = v.a + C2 * t1 + C3 * t2 + C1 * t3;
    let m3 = v.a + C3 * t1 + C1 * t2 + C2 * t3;
    let n1 = S1 * u1 + S2 * u2 + S3 * u3;
    let n2 = S2 * u1 - S3 * u2 - S1 * u3;
    let n3 = S3 * u1 - S1 * u2 + S2 * u3;
    return Seven(v.a + t1 + t2 + t3, m1 + n1, m2 + n2, m3 + n3, m3 - n3, m2 - n2, m1 - n1);
}

fn butterfly8(v: Eight) -> Eight {
    const H: f32 = 0.7071067811865476;
    let even = butterfly4(Four(v.a, v.c, v.e, v.g));
    let odd = butterfly4(Four(v.b, v.d, v.f, v.h));
    let b = H * (odd.b + turned(odd.b));
    let c = turned(odd.c);
    let d = H * (turned(odd.d) - odd.d);
    return Eight(
        even.a + odd.a, even.b + b, even.c + c, even.d + d,
        even.a - odd.a, even.b - b, even.c - c, even.d - d,
    );
}
