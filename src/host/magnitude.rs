//! The magnitude of numbers, as `shared/magnitude.wgsl` has it.

use super::Real;

/// The power of two that brings `|value|` to [1, 2); its exponent is held to that of normal f32
/// numbers, so that both precisions scale alike.
pub(crate) fn to_one<R: Real>(value: R) -> R {
    let exponent = if value == R::zero() { -126.0 } else { value.abs().log2().floor().f64() };
    R::lit(2f64.powi(-exponent.clamp(-126.0, 126.0) as i32))
}

/// 2^90: what small numbers are multiplied with before they are squared, and large ones divided by.
pub(crate) const UP: f64 = (1u128 << 90) as f64;
/// 2^-50 and 2^45: sums of the squares of what lies between keep their bits.
const SMALL: f64 = 1.0 / (1u64 << 50) as f64;
const LARGE: f64 = (1u64 << 45) as f64;

/// What brings `size` to where its square keeps its bits: `shared/squares.wgsl`.
#[inline(always)]
pub(crate) fn to_middle<R: Real>(size: R) -> R {
    if size < R::lit(SMALL) {
        R::lit(UP)
    } else if size > R::lit(LARGE) {
        R::lit(UP.recip())
    } else {
        R::one()
    }
}

/// `(x - m) f`, where the difference alone may be beyond f32: `shared/deviation.wgsl`.
#[inline(always)]
pub(crate) fn difference_times<R: Real>(x: R, m: R, f: R) -> R {
    let (d, half) = (x - m, R::lit(0.5));
    if d.is_infinite() { (half * x - half * m) * (f + f) } else { d * f }
}
