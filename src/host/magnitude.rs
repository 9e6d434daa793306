//! The magnitude of numbers, as `shared/magnitude.wgsl` has it.

use super::Real;

/// The power of two that brings `|value|` to [1, 2); its exponent is held to that of normal f32
/// numbers, so that both precisions scale alike.
pub(crate) fn to_one<R: Real>(value: R) -> R {
    let exponent = if value == R::zero() { -126.0 } else { value.abs().log2().floor().f64() };
    R::lit(2f64.powi(-exponent.clamp(-126.0, 126.0) as i32))
}
