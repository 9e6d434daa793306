//! The Fourier graph operator with matrices.

use super::super::chain::Params;
use super::super::mix::ShrinkParams;
use super::complex::{complex, complex_mut};
use super::mix::shrunk_both;
use crate::elementwise::each;
use crate::host::{HostArgs, Real, greatest, keep_nan};
use rustfft::num_complex::Complex;

/// Row by row, layer by layer.
pub(in super::super) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let keep = args.constant_or("KEEP", 1) == 1;
    let (n, threshold) = (p.channels as usize, R::lit(p.threshold.into()));
    let (x, w, b) = (complex(args.reals(0)), args.reals(1), args.reals(2));
    let z = complex_mut(args.reals_mut(3));
    let mut kept = [4, 5, 6].map(|i| complex_mut(args.reals_mut(i)));
    let mut before = vec![Complex::default(); n];
    for (row, (x, z)) in x.chunks_exact(n).zip(z.chunks_exact_mut(n)).enumerate() {
        before.copy_from_slice(x);
        z.copy_from_slice(x);
        for (layer, kept) in kept.iter_mut().enumerate() {
            let w = &w[2 * layer * n * n..][..2 * n * n];
            let b = &b[2 * layer * n..][..2 * n];
            let after: Vec<Complex<R>> = (0..n).map(|c| outcome(&before, w, b, c)).collect();
            for (z, o) in z.iter_mut().zip(&after) {
                *z += shrunk_both(*o, threshold);
            }
            if keep {
                kept[row * n..][..n].copy_from_slice(&after);
            }
            before = after;
        }
    }
}

/// Channel c of relu(v W + b).
fn outcome<R: Real>(v: &[Complex<R>], w: &[R], b: &[R], c: usize) -> Complex<R> {
    let n = v.len();
    let (re, im) = w.split_at(n * n);
    let start = Complex::new(b[c], b[n + c]);
    let sum = v
        .iter()
        .enumerate()
        .fold(start, |sum, (k, v)| sum + *v * Complex::new(re[k * n + c], im[k * n + c]));
    Complex::new(greatest(sum.re, R::zero()), greatest(sum.im, R::zero()))
}

pub(in super::super) fn reached<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let (threshold, zero) = (R::lit(p.threshold.into()), R::zero());
    let with_next = args.constant_or("NEXT", 0) == 1;
    let (o, g, next) = (args.reals(0), args.reals(1), args.reals(2));
    each(args.reals_mut(3), |i| {
        let direct = if o[i] > threshold { g[i] } else { zero };
        let all = if with_next && o[i] > zero { direct + next[i] } else { direct };
        keep_nan(o[i], all)
    });
}
