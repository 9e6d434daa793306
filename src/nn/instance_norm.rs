//! Normalisation of each series of a window, and its undoing.

use crate::{Result, Tape, Tensor, Var, elementwise, reduce};

/// Level and spread of every series of a window `[L, ..]`, over its L values:
/// `(x - mean) / sqrt(var + 1e-5)`, the biased variance, and back. Both are constants: no gradient
/// flows through them. A series that does not change becomes 0, and stays finite.
///
/// Source: Kim et al. 2022, Reversible Instance Normalization, without its affine map.
#[derive(Debug, Clone)]
pub struct InstanceNorm {
    mean: Tensor,
    spread: Tensor,
}

/// Added to the variance.
const EPS: f32 = 1e-5;

impl InstanceNorm {
    /// The level and spread of `window [L, ..]`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without a leading axis;
    /// [`Error::DType`](crate::Error::DType) unless it is f32.
    pub fn of(window: &Tensor) -> Result<Self> {
        let mean = reduce::mean(window, &[0], true)?;
        let variance = reduce::variance(window, &[0], true, 0)?;
        let shifted = elementwise::Unary::Affine { scale: 1.0, shift: EPS };
        let variance = elementwise::unary(shifted, &variance)?;
        let spread = elementwise::unary(elementwise::Unary::Sqrt, &variance)?;
        Ok(Self { mean, spread })
    }

    /// The window, or other values of its series, normalised.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless `x` is `[.., ]` over the same series.
    pub fn apply(&self, x: &Var) -> Result<Var> {
        let (mean, spread) = self.on(x.tape());
        x.sub(&mean)?.div(&spread)
    }

    /// Values of the normalised series on their own scale.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn undo(&self, y: &Var) -> Result<Var> {
        let (mean, spread) = self.on(y.tape());
        y.mul(&spread)?.add(&mean)
    }

    fn on(&self, tape: &Tape) -> (Var, Var) {
        (tape.constant(&self.mean), tape.constant(&self.spread))
    }
}
