//! Normalisation of each series of a window, and its undoing.

use super::reach::{reach, root_of_eps};
use crate::{Result, Tensor, Var, reduce};

/// Level and spread of every series of a window `[L, ..]`, over its L values:
/// `(x - mean) / sqrt(var + 1e-5)`, the biased variance, and back. Both are constants: no gradient
/// flows through them. A series that does not change becomes 0, and stays finite.
///
/// Source: Kim et al. 2022, Reversible Instance Normalization, without its affine map.
#[derive(Debug, Clone)]
pub struct InstanceNorm {
    mean: Tensor,
    spread: Tensor,
    reach: Tensor,
}

impl InstanceNorm {
    /// The level and spread of `window [L, ..]`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without a leading axis;
    /// [`Error::DType`](crate::Error::DType) unless it is f32.
    pub fn of(window: &Tensor) -> Result<Self> {
        let mean = reduce::mean(window, &[0], true)?;
        let deviation = reduce::standard_deviation(window, &[0], true, 0)?;
        let spread = deviation.hypot(&root_of_eps(window.device())?)?;
        let reach = reach(&spread)?;
        Ok(Self { mean, spread, reach })
    }

    /// The window, or other values of its series, normalised.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless `x` is `[.., ]` over the same series.
    pub fn apply(&self, x: &Var) -> Result<Var> {
        let [reach, mean, spread] =
            [self.reach.clone(), self.mean.mul(&self.reach)?, self.spread.mul(&self.reach)?]
                .map(|each| x.tape().constant(&each));
        x.mul(&reach)?.sub(&mean)?.div(&spread)
    }

    /// Values of the normalised series on their own scale.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub fn undo(&self, y: &Var) -> Result<Var> {
        let [mean, spread] = [&self.mean, &self.spread].map(|each| y.tape().constant(each));
        y.mul(&spread)?.add(&mean)
    }
}
