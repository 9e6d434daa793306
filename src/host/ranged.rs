//! Numbers of f64's precision and f32's range.

use super::{Array, Real};
use num_traits::{Float, FloatConst, FromPrimitive, Num, NumCast, One, Signed, ToPrimitive, Zero};
use std::fmt::{Display, Formatter};
use std::iter::Sum;
use std::num::FpCategory;
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

/// A number of f64's precision and f32's range: what is beyond is infinite, what is below the
/// smallest normal number is zero. An oracle that runs in it shows what becomes of an outcome on a
/// device that flushes subnormals and whose intermediates overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Ranged(f64);

const SMALLEST: f64 = f32::MIN_POSITIVE as f64;
const LARGEST: f64 = f32::MAX as f64;
/// What rounds to infinity in f32.
const BEYOND: f64 = LARGEST * (1.0 + 1.0 / (1u64 << 25) as f64);

impl Ranged {
    /// `value` as f32's range holds it.
    #[inline(always)]
    fn of(value: f64) -> Self {
        let size = value.abs();
        let below = if size < SMALLEST { 0.0 } else { size };
        let held = if below >= BEYOND { f64::INFINITY } else { below };
        Self(held.copysign(value))
    }
}

impl Display for Ranged {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! operators {
    ($($name:ident $op:ident, $assign_name:ident $assign:ident;)*) => {$(
        impl $name for Ranged {
            type Output = Self;
            #[inline(always)]
            fn $op(self, other: Self) -> Self {
                Self::of(self.0.$op(other.0))
            }
        }
        impl $assign_name for Ranged {
            #[inline(always)]
            fn $assign(&mut self, other: Self) {
                *self = self.$op(other);
            }
        }
    )*};
}

operators! {
    Add add, AddAssign add_assign;
    Sub sub, SubAssign sub_assign;
    Mul mul, MulAssign mul_assign;
    Div div, DivAssign div_assign;
    Rem rem, RemAssign rem_assign;
}

impl Neg for Ranged {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Ranged {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self(0.0), |sum, term| sum + term)
    }
}

impl Zero for Ranged {
    fn zero() -> Self {
        Self(0.0)
    }
    fn is_zero(&self) -> bool {
        self.0 == 0.0
    }
}

impl One for Ranged {
    fn one() -> Self {
        Self(1.0)
    }
}

impl Num for Ranged {
    type FromStrRadixErr = <f64 as Num>::FromStrRadixErr;
    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        f64::from_str_radix(text, radix).map(Self::of)
    }
}

impl ToPrimitive for Ranged {
    fn to_i64(&self) -> Option<i64> {
        self.0.to_i64()
    }
    fn to_u64(&self) -> Option<u64> {
        self.0.to_u64()
    }
    fn to_f64(&self) -> Option<f64> {
        Some(self.0)
    }
}

impl NumCast for Ranged {
    fn from<T: ToPrimitive>(value: T) -> Option<Self> {
        value.to_f64().map(Self::of)
    }
}

impl FromPrimitive for Ranged {
    fn from_i64(value: i64) -> Option<Self> {
        f64::from_i64(value).map(Self::of)
    }
    fn from_u64(value: u64) -> Option<Self> {
        f64::from_u64(value).map(Self::of)
    }
    fn from_f64(value: f64) -> Option<Self> {
        Some(Self::of(value))
    }
}

impl Signed for Ranged {
    fn abs(&self) -> Self {
        Self(self.0.abs())
    }
    fn abs_sub(&self, other: &Self) -> Self {
        Float::max(*self - *other, Self(0.0))
    }
    fn signum(&self) -> Self {
        Self(self.0.signum())
    }
    fn is_positive(&self) -> bool {
        self.0.is_sign_positive()
    }
    fn is_negative(&self) -> bool {
        self.0.is_sign_negative()
    }
}

/// Methods that are those of f64, held in range.
macro_rules! of_f64 {
    ($($name:ident($($other:ident),*))*) => {$(
        fn $name(self $(, $other: Self)*) -> Self {
            Self::of(Float::$name(self.0 $(, $other.0)*))
        }
    )*};
}

/// Those that ask something.
macro_rules! asked {
    ($($name:ident: $answer:ty),*) => {$(
        fn $name(self) -> $answer {
            self.0.$name()
        }
    )*};
}

macro_rules! numbers {
    ($($name:ident = $value:expr;)*) => {$(
        fn $name() -> Self {
            Self::of($value)
        }
    )*};
}

impl Float for Ranged {
    numbers! {
        nan = f64::NAN;
        infinity = f64::INFINITY;
        neg_infinity = f64::NEG_INFINITY;
        neg_zero = -0.0;
        min_value = -LARGEST;
        min_positive_value = SMALLEST;
        epsilon = f64::EPSILON;
        max_value = LARGEST;
    }
    asked! {
        is_nan: bool, is_infinite: bool, is_finite: bool, is_normal: bool, is_sign_positive: bool,
        is_sign_negative: bool, classify: FpCategory
    }
    of_f64! {
        floor() ceil() round() trunc() fract() abs() signum() recip() sqrt() exp() exp2() ln() log2()
        log10() cbrt() sin() cos() tan() asin() acos() atan() exp_m1() ln_1p() sinh() cosh() tanh()
        asinh() acosh() atanh() mul_add(a, b) powf(n) log(base) max(other) min(other) hypot(other)
        atan2(other) copysign(sign) abs_sub(other)
    }
    fn powi(self, n: i32) -> Self {
        Self::of(self.0.powi(n))
    }
    fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }
    fn integer_decode(self) -> (u64, i16, i8) {
        self.0.integer_decode()
    }
}

macro_rules! constants {
    ($($name:ident)*) => {
        impl FloatConst for Ranged {
            $(fn $name() -> Self {
                Self(<f64 as FloatConst>::$name())
            })*
        }
    };
}

constants! {
    E FRAC_1_PI FRAC_1_SQRT_2 FRAC_2_PI FRAC_2_SQRT_PI FRAC_PI_2 FRAC_PI_3 FRAC_PI_4 FRAC_PI_6
    FRAC_PI_8 LN_10 LN_2 LOG10_E LOG2_E PI SQRT_2
}

impl Real for Ranged {
    fn lit(value: f64) -> Self {
        Self::of(value)
    }
    fn f64(self) -> f64 {
        self.0
    }
    fn f32(self) -> f32 {
        self.0 as f32
    }
    fn erf(self) -> Self {
        Self::of(libm::erf(self.0))
    }
    fn view(array: &Array) -> Option<&[Self]> {
        f64::view(array).map(bytemuck::cast_slice)
    }
    fn view_mut(array: &mut Array) -> Option<&mut [Self]> {
        f64::view_mut(array).map(bytemuck::cast_slice_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_f32() {
        let of = Ranged::of;
        let (small, large) = (of(SMALLEST), of(LARGEST));
        assert_eq!((small * of(0.5)) * of(1e30), of(0.0));
        assert_eq!(small * of(1.5) / small, of(1.5));
        assert!((large * of(1.5) - large).is_infinite() && (large + of(1.0)).is_finite());
        assert!((large * of(-2.0) + large * of(2.0)).is_nan());
        assert_eq!(of(-100.0).exp() * of(1e30), of(0.0));
        assert_eq!(of(-0.0).0.to_bits(), (of(-1e-30) * of(1e-30)).0.to_bits());
        assert_eq!(of(1.0) / of(3.0), of(1.0 / 3.0));
    }
}
