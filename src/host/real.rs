//! The two precisions of the host.

use super::Array;
use std::fmt::{Debug, Display};
use std::iter::Sum;

/// `f32` or `f64`: twins are written once, over this trait.
///
/// Arithmetic and elementary functions come from [`num_traits::Float`]; `erf` from `libm`.
pub trait Real:
    num_traits::Float
    + num_traits::NumAssign
    + num_traits::FloatConst
    + Sum
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + bytemuck::Pod
    + 'static
{
    /// A constant of the mathematics, rounded to this precision.
    fn lit(value: f64) -> Self;
    /// The value in f64.
    fn f64(self) -> f64;
    /// The value in f32.
    fn f32(self) -> f32;
    /// The error function.
    fn erf(self) -> Self;
    /// The elements of an array of this precision.
    #[doc(hidden)]
    fn view(array: &Array) -> Option<&[Self]>;
    /// Likewise, writable.
    #[doc(hidden)]
    fn view_mut(array: &mut Array) -> Option<&mut [Self]>;
}

impl Real for f32 {
    fn lit(value: f64) -> Self {
        value as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
    fn f32(self) -> f32 {
        self
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn view(array: &Array) -> Option<&[Self]> {
        if let Array::Single(a) = array { Some(a) } else { None }
    }
    fn view_mut(array: &mut Array) -> Option<&mut [Self]> {
        if let Array::Single(a) = array { Some(a) } else { None }
    }
}

impl Real for f64 {
    fn lit(value: f64) -> Self {
        value
    }
    fn f64(self) -> f64 {
        self
    }
    fn f32(self) -> f32 {
        self as f32
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn view(array: &Array) -> Option<&[Self]> {
        if let Array::Double(a) = array { Some(a) } else { None }
    }
    fn view_mut(array: &mut Array) -> Option<&mut [Self]> {
        if let Array::Double(a) = array { Some(a) } else { None }
    }
}

/// `e^-x` for `x >= 0`: in f32 by a polynomial that a loop can vectorise (relative error 1e-7).
#[inline(always)]
pub(crate) fn exp_negative<R: Real>(x: R) -> R {
    if size_of::<R>() == 4 { R::lit(f64::from(exp_negative_f32(x.f32()))) } else { (-x).exp() }
}

#[inline(always)]
fn exp_negative_f32(x: f32) -> f32 {
    // Adding it leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < 87.0 { -x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the remainder is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series = 1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)));
    let e = 1.0 + r * (1.0 + r * (0.5 + r * series));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    e * power
}

#[cfg(test)]
mod tests {
    use super::exp_negative_f32;

    #[test]
    fn the_polynomial_is_the_exponential() {
        for i in 0..8_700 {
            let x = i as f32 / 100.0;
            let (found, exact) = (f64::from(exp_negative_f32(x)), (-f64::from(x)).exp());
            assert!((found - exact).abs() <= 3e-7 * exact, "{x}: {found:e} {exact:e}");
        }
        assert!(exp_negative_f32(f32::INFINITY) < 1e-37);
    }
}
