//! Comparisons that a NaN goes through: `Float::max` and `Float::min` drop it.

use super::Real;

/// The greater of two numbers; NaN if either is.
#[inline(always)]
pub(crate) fn greatest<R: Real>(a: R, b: R) -> R {
    if a > b || a.is_nan() { a } else { b }
}

/// The lesser of two numbers; NaN if either is.
#[inline(always)]
pub(crate) fn least<R: Real>(a: R, b: R) -> R {
    if a < b || a.is_nan() { a } else { b }
}

/// Whether `a` is above `b`, as a NaN is above all numbers.
#[inline(always)]
pub(crate) fn above<R: Real>(a: R, b: R) -> bool {
    a > b || a.is_nan() && !b.is_nan()
}

/// `x` limited to `low ..= high`.
#[inline(always)]
pub(crate) fn limited<R: Real>(x: R, low: R, high: R) -> R {
    least(greatest(x, low), high)
}

/// `y`, or NaN if `x` is.
#[inline(always)]
pub(crate) fn keep_nan<R: Real>(x: R, y: R) -> R {
    if x.is_nan() { x } else { y }
}

/// 1 where `x > 0`, else 0; NaN of NaN: the slope of a rectifier.
#[inline(always)]
pub(crate) fn above_zero<R: Real>(x: R) -> R {
    keep_nan(x, if x > R::zero() { R::one() } else { R::zero() })
}
