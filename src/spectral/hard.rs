//! Hard spectral clipping.

use super::batch::Batch;
use super::blend::blend;
use super::clip::one;
use super::norm::{Facts, Scale};
use super::polar::{EPS, Polar};
use super::product::{Coefficients, Output, SymmetricProduct};
use super::wide;
use crate::linalg::{Layout, Matmul, matmul};
use crate::{DType, Error, Result, Tensor};

const OP: &str = "hard_clip";

/// Hard spectral clipping: every singular value `s` becomes `min(s, c)`.
///
/// From two matrix signs, with `X` on its long side:
///
/// ```text
/// O = polar(X),   H = O X^T,   min(s, c) = [X + c O - sign(c I - H) (c O - X)] / 2
/// ```
///
/// An error of the second sign near `s = c` is multiplied by `|c - s|`, so that few iterations are
/// enough. The outcome is less accurate than [`SpectralClip`](super::SpectralClip)'s: where
/// singular values are far below the largest, the first sign amplifies rounding.
///
/// A matrix with an element that is not finite becomes zeros and raises its flag.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct HardClip {
    radius: f64,
    sign: Polar,
}

impl HardClip {
    /// Clipping to the radius `c`; both signs by ten steps of the Polar Express.
    pub fn new(c: f64) -> Self {
        Self { radius: c, sign: Polar::express(10) }
    }

    /// The iteration of both matrix signs.
    pub fn sign(mut self, sign: Polar) -> Self {
        self.sign = sign;
        self
    }

    /// `X` with its singular values limited to `c`: a matrix, a vector, or a batch `[.., rows, cols]`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a radius that is not positive and finite, or a sign without iterations;
    /// [`Error::DType`] unless it is f32; [`Error::Limit`] for a batch beyond the device's buffers.
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        self.run_flagged(x).map(|(y, _)| y)
    }

    /// Likewise, with a flag for each matrix: `[entries]`, 1 where an element is not finite, else 0.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_flagged(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, flags) = self.run_all(&[x])?;
        Ok((one(y, x)?, flags))
    }

    /// Several tensors of one shape in the launches of one, and the flags of all their matrices.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Argument`] for no tensors; [`Error::Shape`] for shapes
    /// that differ; [`Error::DeviceMismatch`].
    pub fn run_all(&self, tensors: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let batch = Batch::new(OP, tensors)?;
        let (radius, _) = self.checked()?;
        if batch.total() * batch.count() == 0 {
            let flags = Tensor::zeros(batch.device(), [batch.total()], DType::F32)?;
            return Ok((batch.empty_outputs()?, flags));
        }
        // X / c, whose radius is 1. No square of it is taken, so that no scale overflows.
        let facts = Facts::new(&batch, Scale::Inverse(radius, None))?;
        let x = wide::to_wide(&batch, &facts, DType::F32)?;
        let y = self.clip_to_one(&x, batch.rows.min(batch.cols), radius)?;
        Ok((wide::split(&batch, &y, batch.tall())?, facts.flags))
    }

    /// The radius and the sign, once they are known to be right.
    pub(super) fn checked(&self) -> Result<(f32, &Polar)> {
        let radius = super::clip::checked_radius(OP, self.radius)?;
        self.sign.check(OP)?;
        Ok((radius, &self.sign))
    }

    /// `radius min(s, 1)` of wide matrices `[total, m, n]`, of whose rows `short` are not padding.
    fn clip_to_one(&self, x: &Tensor, short: usize, radius: f32) -> Result<Tensor> {
        let &[total, m, n] = x.shape().dims() else {
            return Err(Error::shape(OP, format!("matrices {}", x.shape())));
        };
        let o = self.sign_of(x)?;
        let gap = Tensor::empty(x.device(), [total, m, m], DType::F32)?;
        let product = SymmetricProduct {
            a: &o,
            b: x,
            rows: true,
            batch: total,
            m,
            k: n,
            coefficients: Coefficients::Fixed([1.0, 0.0, -1.0, 0.0]),
        };
        product.record(Output::First(&gap))?;
        // In the padding gap is I, which the norm must not count.
        let sign = self.sign_of(&wide::corner(&gap, short)?)?;
        let over = blend([1.0, -1.0, 0.0], &o, x, None)?;
        let turned = matmul(&sign, &over, Layout::NN)?;
        let half = 0.5 * radius;
        blend([half, half, -half], x, &o, Some(&turned))
    }

    /// The polar factor of matrices `[total, m, n]`, scaled to one first.
    fn sign_of(&self, x: &Tensor) -> Result<Tensor> {
        let batch = Batch::new(OP, &[x])?;
        let scale = Scale::Unit { margin: self.sign.margin(), eps: EPS };
        let unit = wide::to_wide(&batch, &Facts::new(&batch, scale)?, self.sign.stored_as())?;
        let (z, x) = self.sign.iterate(unit)?;
        Matmul::new().run(&z, &x)
    }
}
