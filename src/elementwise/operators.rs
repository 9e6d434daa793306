//! `+ - * /` between tensors, between variables, and with numbers.

use super::{Binary, Unary, binary, unary};
use crate::error::Result;
use crate::{Tensor, Var};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Operators of two operands of one type; shapes broadcast. What they give is a `Result`, with the errors of
/// [`binary`].
macro_rules! of_two {
    ($($trait:ident $method:ident $op:ident,)*) => {$(
        /// Element by element, with broadcasting; errors as of [`binary`].
        impl $trait<&Tensor> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, other: &Tensor) -> Result<Tensor> {
                binary(Binary::$op, self, other)
            }
        }

        /// Element by element, with broadcasting; errors as of [`binary`](Var::binary).
        impl $trait<&Var> for &Var {
            type Output = Result<Var>;
            fn $method(self, other: &Var) -> Result<Var> {
                self.binary(Binary::$op, other)
            }
        }
    )*};
}

of_two! {
    Add add Add,
    Sub sub Sub,
    Mul mul Mul,
    Div div Div,
}

/// Operators with a number, each `scale x + shift`.
macro_rules! with_number {
    ($($trait:ident $method:ident($number:ident): $scale:expr, $shift:expr;)*) => {$(
        /// Each element with the number (a quotient is a product with `1 / number`); errors as of [`unary`].
        impl $trait<f32> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, $number: f32) -> Result<Tensor> {
                unary(Unary::Affine { scale: $scale, shift: $shift }, self)
            }
        }

        /// Each element with the number (a quotient is a product with `1 / number`); errors as of [`unary`].
        impl $trait<f32> for &Var {
            type Output = Result<Var>;
            fn $method(self, $number: f32) -> Result<Var> {
                self.unary(Unary::Affine { scale: $scale, shift: $shift })
            }
        }
    )*};
}

with_number! {
    Add add(number): 1.0, number;
    Sub sub(number): 1.0, -number;
    Mul mul(number): number, 0.0;
    Div div(number): number.recip(), 0.0;
}

/// `-x`; [`DType`](crate::Error::DType) unless f32.
impl Neg for &Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        unary(Unary::Affine { scale: -1.0, shift: 0.0 }, self)
    }
}

/// `-x`; [`DType`](crate::Error::DType) unless f32.
impl Neg for &Var {
    type Output = Result<Var>;
    fn neg(self) -> Result<Var> {
        self.unary(Unary::Affine { scale: -1.0, shift: 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Device, Result, Tape, Tensor};

    #[test]
    fn operators_are_the_methods() -> Result<()> {
        let device = Device::host();
        let a = Tensor::from_slice(&device, &[1.0f32, -2.0, 4.0, 8.0], [2, 2])?;
        let b = Tensor::from_slice(&device, &[2.0f32, 4.0], [2])?;
        let values = |t: Result<Tensor>| t?.to_vec::<f32>();
        assert_eq!(values(&a + &b)?, [3.0, 2.0, 6.0, 12.0]);
        assert_eq!(values(&a - &b)?, [-1.0, -6.0, 2.0, 4.0]);
        assert_eq!(values(&a * &b)?, [2.0, -8.0, 8.0, 32.0]);
        assert_eq!(values(&a / &b)?, [0.5, -0.5, 2.0, 2.0]);
        assert_eq!(values(&(&(&a + 1.0)? - 3.0)? * 2.0)?, [-2.0, -8.0, 4.0, 12.0]);
        assert_eq!(values(-&(&a / 2.0)?)?, [-0.5, 1.0, -2.0, -4.0]);
        assert!((&a / 0.0).is_err());
        let tape = Tape::new();
        let (x, y) = (tape.leaf(&a), tape.leaf(&b));
        let z = (&(&(&x * &y)? - &(&x / &y)?)? + &(-&(&(&x + &y)? * 3.0)?)?)?;
        let gradients = z.sum_all()?.backward()?;
        let g = gradients.get(&x).expect("a gradient").to_vec::<f32>()?;
        assert_eq!(g, [2.0 - 0.5 - 3.0, 4.0 - 0.25 - 3.0, 2.0 - 0.5 - 3.0, 4.0 - 0.25 - 3.0]);
        Ok(())
    }
}
