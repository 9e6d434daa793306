//! Transforms of lines that stand side by side, eight at a time: a point of all eight is two vectors,
//! and no line is gathered. Radices, order and exchange are those of the shaders
//! (`fourier/stages.wgsl`).

use super::planners;
use crate::fourier::plan::radices;
use crate::host::vectorised;
use rustfft::num_complex::Complex;
use std::f32::consts::FRAC_1_SQRT_2;
use std::sync::Arc;

/// Complex lines that are transformed together; of real ones twice as many, two in a complex one.
pub(super) const LANES: usize = 8;

/// The longest lines that are: two places of them must stay near.
pub(super) const LONGEST: usize = 1 << 13;

/// A point of every line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(32))]
pub(super) struct Point {
    pub(super) re: [f32; LANES],
    pub(super) im: [f32; LANES],
}

impl Point {
    /// With real and imaginary parts exchanged: between two such exchanges a transform is an inverse.
    #[inline(always)]
    pub(super) fn swapped(self) -> Self {
        Self { re: self.im, im: self.re }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.re.iter().chain(&self.im).all(|v| v.is_finite())
    }

    #[inline(always)]
    fn at(&self, l: usize) -> Complex<f32> {
        Complex { re: self.re[l], im: self.im[l] }
    }

    #[inline(always)]
    fn set(&mut self, l: usize, z: Complex<f32>) {
        (self.re[l], self.im[l]) = (z.re, z.im);
    }
}

/// A transform of `points` points, planned.
pub(super) struct Lanes {
    points: usize,
    stages: Vec<usize>,
    roots: Arc<[Complex<f32>]>,
}

impl Lanes {
    /// `None` where a line is too long, or a prime factor too large.
    pub(super) fn plan(points: usize) -> Option<Self> {
        let stages = radices(points).filter(|_| points <= LONGEST)?;
        Some(Self { points, stages, roots: planners().roots(points) })
    }

    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Transforms what stands in the first place to and fro; returns where the outcome stands.
    pub(super) fn run<'a>(&self, places: [&'a mut [Point]; 2]) -> &'a mut [Point] {
        let [mut from, mut to] = places;
        let mut run = 1;
        for &radix in &self.stages {
            let stage = Stage {
                run,
                gap: self.points / radix,
                stride: self.points / radix / run,
                roots: &self.roots,
            };
            stage.run(radix, from, to);
            (from, to) = (to, from);
            run *= radix;
        }
        from
    }
}

/// One stage; `fourier/stages.wgsl`.
struct Stage<'a> {
    run: usize,
    gap: usize,
    stride: usize,
    roots: &'a [Complex<f32>],
}

impl Stage<'_> {
    fn run(&self, radix: usize, from: &[Point], to: &mut [Point]) {
        vectorised(
            #[inline(always)]
            || match radix {
                2 => self.by(from, to, butterfly2),
                3 => self.by(from, to, butterfly3),
                4 => self.by(from, to, butterfly4),
                5 => self.by(from, to, butterfly5),
                7 => self.by(from, to, butterfly7),
                8 => self.by(from, to, butterfly8),
                _ => self.dense(radix, from, to),
            },
        );
    }

    #[inline(always)]
    fn by<const N: usize>(
        &self,
        from: &[Point],
        to: &mut [Point],
        butterfly: impl Fn([Complex<f32>; N]) -> [Complex<f32>; N],
    ) {
        for block in 0..self.gap / self.run {
            let to = &mut to[block * self.run * N..][..self.run * N];
            for k in 0..self.run {
                let j = block * self.run + k;
                let turn: [Complex<f32>; N] = std::array::from_fn(
                    #[inline(always)]
                    |q| self.roots[k * q * self.stride],
                );
                let x: [Point; N] = std::array::from_fn(
                    #[inline(always)]
                    |q| from[j + q * self.gap],
                );
                let mut y = [Point::default(); N];
                for l in 0..LANES {
                    let v = butterfly(std::array::from_fn(
                        #[inline(always)]
                        |q| if q == 0 { x[0].at(l) } else { product(x[q].at(l), turn[q]) },
                    ));
                    for q in 0..N {
                        y[q].set(l, v[q]);
                    }
                }
                for q in 0..N {
                    to[k + q * self.run] = y[q];
                }
            }
        }
    }

    /// A prime radix, as a dense sum over the pairs of points that share a cosine.
    #[inline(always)]
    fn dense(&self, radix: usize, from: &[Point], to: &mut [Point]) {
        let half = radix / 2;
        let mut sums = [Point::default(); 32];
        let mut differences = [Point::default(); 32];
        for j in 0..self.gap {
            let k = j % self.run;
            let mut total = from[j];
            for q in 1..=half {
                for l in 0..LANES {
                    let a = product(from[j + q * self.gap].at(l), self.roots[k * q * self.stride]);
                    let r = radix - q;
                    let b = product(from[j + r * self.gap].at(l), self.roots[k * r * self.stride]);
                    sums[q].set(l, add(a, b));
                    differences[q].set(l, sub(a, b));
                    total.set(l, add(total.at(l), sums[q].at(l)));
                }
            }
            let first = (j - k) * radix + k;
            to[first] = total;
            for o in 1..=half {
                let (mut even, mut odd) = (from[j], Point::default());
                let mut at = 0;
                for q in 1..=half {
                    at = (at + o * self.gap) % (radix * self.gap);
                    let root = self.roots[at];
                    for l in 0..LANES {
                        even.set(l, add(even.at(l), scaled(root.re, sums[q].at(l))));
                        odd.set(l, add(odd.at(l), scaled(root.im, differences[q].at(l))));
                    }
                }
                let [low, high] = [first + o * self.run, first + (radix - o) * self.run];
                for l in 0..LANES {
                    let odd = Complex { re: -odd.im[l], im: odd.re[l] };
                    to[low].set(l, add(even.at(l), odd));
                    to[high].set(l, sub(even.at(l), odd));
                }
            }
        }
    }
}

/// exp(-2 pi i k / n), k = 0 .. n
pub(super) fn roots(n: usize) -> Arc<[Complex<f32>]> {
    let root = |k: usize| crate::fourier::plan::root(k, n);
    (0..n).map(root).map(|z| Complex { re: z.re as f32, im: z.im as f32 }).collect()
}

#[inline(always)]
fn product(a: Complex<f32>, b: Complex<f32>) -> Complex<f32> {
    Complex { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re }
}

#[inline(always)]
fn add(a: Complex<f32>, b: Complex<f32>) -> Complex<f32> {
    Complex { re: a.re + b.re, im: a.im + b.im }
}

#[inline(always)]
fn sub(a: Complex<f32>, b: Complex<f32>) -> Complex<f32> {
    Complex { re: a.re - b.re, im: a.im - b.im }
}

#[inline(always)]
fn scaled(factor: f32, a: Complex<f32>) -> Complex<f32> {
    Complex { re: factor * a.re, im: factor * a.im }
}

#[inline(always)]
fn weighted([a, b, c]: [f32; 3], [x, y, z]: [Complex<f32>; 3]) -> Complex<f32> {
    add(scaled(a, x), add(scaled(b, y), scaled(c, z)))
}

/// -i z
#[inline(always)]
fn turned(z: Complex<f32>) -> Complex<f32> {
    Complex { re: z.im, im: -z.re }
}

#[inline(always)]
fn butterfly2([a, b]: [Complex<f32>; 2]) -> [Complex<f32>; 2] {
    [add(a, b), sub(a, b)]
}

#[inline(always)]
fn butterfly3([a, b, c]: [Complex<f32>; 3]) -> [Complex<f32>; 3] {
    let t = add(b, c);
    let m = sub(a, scaled(0.5, t));
    let n = scaled(0.866_025_4, turned(sub(b, c)));
    [add(a, t), add(m, n), sub(m, n)]
}

#[inline(always)]
fn butterfly4([a, b, c, d]: [Complex<f32>; 4]) -> [Complex<f32>; 4] {
    let (s, d1) = (add(a, c), sub(a, c));
    let (t, u) = (add(b, d), turned(sub(b, d)));
    [add(s, t), add(d1, u), sub(s, t), sub(d1, u)]
}

#[inline(always)]
fn butterfly5([a, b, c, d, e]: [Complex<f32>; 5]) -> [Complex<f32>; 5] {
    let [c1, c2] = [0.309_017, -0.809_017];
    let [s1, s2] = [0.951_056_52, 0.587_785_25];
    let (t1, t2) = (add(b, e), add(c, d));
    let (u1, u2) = (turned(sub(b, e)), turned(sub(c, d)));
    let m1 = add(a, add(scaled(c1, t1), scaled(c2, t2)));
    let m2 = add(a, add(scaled(c2, t1), scaled(c1, t2)));
    let n1 = add(scaled(s1, u1), scaled(s2, u2));
    let n2 = sub(scaled(s2, u1), scaled(s1, u2));
    [add(a, add(t1, t2)), add(m1, n1), add(m2, n2), sub(m2, n2), sub(m1, n1)]
}

#[inline(always)]
fn butterfly7(v: [Complex<f32>; 7]) -> [Complex<f32>; 7] {
    let c = [0.623_489_8, -0.222_520_93, -0.900_968_87];
    let s = [0.781_831_5, 0.974_927_9, 0.433_883_74];
    let ([c1, c2, c3], [s1, s2, s3]) = (c, s);
    let (t1, t2, t3) = (add(v[1], v[6]), add(v[2], v[5]), add(v[3], v[4]));
    let u = [turned(sub(v[1], v[6])), turned(sub(v[2], v[5])), turned(sub(v[3], v[4]))];
    let t = [t1, t2, t3];
    let m1 = add(v[0], weighted([c1, c2, c3], t));
    let m2 = add(v[0], weighted([c2, c3, c1], t));
    let m3 = add(v[0], weighted([c3, c1, c2], t));
    let n1 = weighted([s1, s2, s3], u);
    let n2 = weighted([s2, -s3, -s1], u);
    let n3 = weighted([s3, -s1, s2], u);
    let y0 = add(v[0], add(t1, add(t2, t3)));
    [y0, add(m1, n1), add(m2, n2), add(m3, n3), sub(m3, n3), sub(m2, n2), sub(m1, n1)]
}

#[inline(always)]
fn butterfly8([a, b, c, d, e, f, g, h]: [Complex<f32>; 8]) -> [Complex<f32>; 8] {
    let even = butterfly4([a, c, e, g]);
    let odd = butterfly4([b, d, f, h]);
    let r = FRAC_1_SQRT_2;
    let o = [
        odd[0],
        scaled(r, add(odd[1], turned(odd[1]))),
        turned(odd[2]),
        scaled(r, sub(turned(odd[3]), odd[3])),
    ];
    [
        add(even[0], o[0]),
        add(even[1], o[1]),
        add(even[2], o[2]),
        add(even[3], o[3]),
        sub(even[0], o[0]),
        sub(even[1], o[1]),
        sub(even[2], o[2]),
        sub(even[3], o[3]),
    ]
}
