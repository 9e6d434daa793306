//! The soft shrinkage of the Fourier graph operator.

use crate::host::{Real, keep_nan};
use rustfft::num_complex::Complex;

crate::params! {
    pub(super) struct ShrinkParams {
        count: u32,
        threshold: f32,
    }
}

/// `v` brought nearer to 0 by `threshold`, or to it.
#[inline(always)]
pub(super) fn shrunk<R: Real>(v: R, threshold: R) -> R {
    if v > threshold {
        v - threshold
    } else if v < -threshold {
        v + threshold
    } else {
        keep_nan(v, R::zero())
    }
}

/// Likewise, both parts of a number.
#[inline(always)]
pub(super) fn shrunk_both<R: Real>(v: Complex<R>, threshold: R) -> Complex<R> {
    Complex::new(shrunk(v.re, threshold), shrunk(v.im, threshold))
}
