//! The Fourier graph operator.

use super::super::mix::{BackwardParams, DiagParams, ShrinkParams};
use super::complex::{complex, complex_mut};
use crate::elementwise::each;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, greatest, keep_nan, vectorised};
use rustfft::num_complex::Complex;

/// Numbers that one task mixes.
const TASK: usize = 1 << 13;

/// A layer's parameters of a channel: weight and bias.
type Layer<R> = (Complex<R>, Complex<R>);

/// The three layers of every channel.
fn layers<R: Real>(w: &[R], channels: usize) -> Vec<[Layer<R>; 3]> {
    let number =
        |row: usize, c: usize| Complex::new(w[row * channels + c], w[(row + 1) * channels + c]);
    let layer = |k: usize, c: usize| (number(4 * k, c), number(4 * k + 2, c));
    (0..channels).map(|c| [0, 1, 2].map(|k| layer(k, c))).collect()
}

#[inline(always)]
fn relu<R: Real>(v: Complex<R>) -> Complex<R> {
    Complex::new(greatest(v.re, R::zero()), greatest(v.im, R::zero()))
}

/// The outcomes of the three layers.
#[inline(always)]
fn run<R: Real>(v: Complex<R>, [l1, l2, l3]: &[Layer<R>; 3]) -> [Complex<R>; 3] {
    let a = relu(v * l1.0 + l1.1);
    let b = relu(a * l2.0 + l2.1);
    [a, b, relu(b * l3.0 + l3.1)]
}

#[inline(always)]
fn shrunk<R: Real>(v: R, threshold: R) -> R {
    if v > threshold {
        v - threshold
    } else if v < -threshold {
        v + threshold
    } else {
        keep_nan(v, R::zero())
    }
}

#[inline(always)]
pub(super) fn shrunk_both<R: Real>(v: Complex<R>, threshold: R) -> Complex<R> {
    Complex::new(shrunk(v.re, threshold), shrunk(v.im, threshold))
}

/// What of an upstream gradient reaches a layer: through the shrinkage, with what comes from the next
/// layer, through the relu.
#[inline(always)]
fn reached<R: Real>(o: Complex<R>, g: Complex<R>, next: Complex<R>, threshold: R) -> Complex<R> {
    let part = |o: R, g: R, next: R| {
        let direct = if o.abs() > threshold { g } else { R::zero() };
        keep_nan(o, if o > R::zero() { direct + next } else { R::zero() })
    };
    Complex::new(part(o.re, g.re, next.re), part(o.im, g.im, next.im))
}

pub(in super::super) fn diag<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: DiagParams = args.params();
    let outer = args.constant_or("OUTER", 0) == 1;
    let channels = p.channels as usize;
    let threshold = R::lit(p.threshold.into());
    let (x, e) = (complex(args.reals(0)), args.reals(1));
    let layers = layers(args.reals(2), channels);
    let rows = (TASK / channels).max(1);
    let z = complex_mut(args.reals_mut(3));
    z.par_chunks_mut(rows * channels).enumerate().for_each(|(task, z)| {
        vectorised(
            #[inline(always)]
            || {
                for (r, z) in z.chunks_exact_mut(channels).enumerate() {
                    let row = task * rows + r;
                    for (c, (z, layers)) in z.iter_mut().zip(&layers).enumerate() {
                        let v = if outer { x[row].scale(e[c]) } else { x[row * channels + c] };
                        let [a, b, o] = run(v, layers).map(|o| shrunk_both(o, threshold));
                        *z = v + a + b + o;
                    }
                }
            },
        );
    });
}

pub(in super::super) fn diag_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BackwardParams = args.params();
    let outer = args.constant_or("OUTER", 0) == 1;
    let skip = args.constant_or("SKIP_X", 0) == 1;
    let (rows, channels, chunk) = (p.rows as usize, p.channels as usize, p.chunk as usize);
    let (x, e) = (complex(args.reals(0)), args.reals(1));
    let chunks = Chunks {
        layers: layers(args.reals(2), channels),
        threshold: R::lit(p.threshold.into()),
        x,
        e: outer.then_some(e),
        g: complex(args.reals(3)),
        channels,
    };
    let gx = complex_mut(args.reals_mut(4));
    let sums = args.reals_mut(5);
    if channels == 0 {
        return;
    }
    if skip {
        let parts = sums.par_chunks_mut(13 * channels).enumerate();
        parts.for_each(|(i, sums)| {
            let range = i * chunk..rows.min((i + 1) * chunk);
            let mut unused = vec![Complex::default(); channels];
            range.for_each(|row| chunks.row(row, &mut unused, sums, row % chunk == 0));
            chunks.settle(sums, i * chunk >= rows);
        });
    } else {
        let parts = sums.par_chunks_mut(13 * channels).zip(gx.par_chunks_mut(chunk * channels));
        parts.enumerate().for_each(|(i, (sums, gx))| {
            for (r, gx) in gx.chunks_exact_mut(channels).enumerate() {
                chunks.row(i * chunk + r, gx, sums, r == 0);
            }
        });
        if rows == 0 {
            sums.fill(R::zero());
        }
    }
}

/// What the gradients of a chunk of rows are made from.
struct Chunks<'a, R> {
    layers: Vec<[Layer<R>; 3]>,
    threshold: R,
    x: &'a [Complex<R>],
    e: Option<&'a [R]>,
    g: &'a [Complex<R>],
    channels: usize,
}

impl<R: Real> Chunks<'_, R> {
    /// Adds one row to the sums; the first row of a chunk clears them.
    fn row(&self, row: usize, gx: &mut [Complex<R>], sums: &mut [R], first: bool) {
        if first {
            sums.fill(R::zero());
        }
        let n = self.channels;
        let g = &self.g[row * n..][..n];
        vectorised(
            #[inline(always)]
            || {
                for c in 0..n {
                    let s = if self.e.is_some() { self.x[row] } else { self.x[row * n + c] };
                    let v = self.e.map_or(s, |e| s.scale(e[c]));
                    let layers = &self.layers[c];
                    let [oa, ob, oc] = run(v, layers);
                    let a3 = reached(oc, g[c], Complex::default(), self.threshold);
                    let a2 = reached(ob, g[c], a3 * layers[2].0.conj(), self.threshold);
                    let a1 = reached(oa, g[c], a2 * layers[1].0.conj(), self.threshold);
                    let gv = g[c] + a1 * layers[0].0.conj();
                    gx[c] = gv;
                    for (k, (a, before)) in [(a1, v), (a2, oa), (a3, ob)].into_iter().enumerate() {
                        let w = a * before.conj();
                        for (j, part) in [w.re, w.im, a.re, a.im].into_iter().enumerate() {
                            sums[(4 * k + j) * n + c] += part;
                        }
                    }
                    sums[12 * n + c] += s.re * gv.re + s.im * gv.im;
                }
            },
        );
    }

    /// A chunk without rows has sums of 0.
    fn settle(&self, sums: &mut [R], empty: bool) {
        if empty {
            sums.fill(R::zero());
        }
    }
}

pub(in super::super) fn shrink<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let t = R::lit(p.threshold.into());
    let (x, a, b, c) = (args.reals(0), args.reals(1), args.reals(2), args.reals(3));
    each(args.reals_mut(4), |i| x[i] + shrunk(a[i], t) + shrunk(b[i], t) + shrunk(c[i], t));
}

pub(in super::super) fn shrink_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let t = R::lit(p.threshold.into());
    let g = args.reals(3);
    for i in 0..3 {
        let v = args.reals(i);
        let passed = |j: usize| if v[j].abs() > t { g[j] } else { R::zero() };
        each(args.reals_mut(4 + i), |j| keep_nan(v[j], passed(j)));
    }
}
