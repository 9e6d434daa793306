//! The two precisions of the host.

use super::Array;
use std::fmt::{Debug, Display};
use std::iter::Sum;

/// `f32` or `f64`: oracles are written once, over this trait.
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
