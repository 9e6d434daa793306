//! Layer normalisation with its gain and bias.

use super::{Layer, Pass, filled};
use crate::{Device, Param, Result, Var};

/// `y = gain (x - mean) / sqrt(var + eps) + bias` over the last axis; see [`Var::layer_norm`].
#[derive(Debug, Clone)]
pub struct LayerNorm {
    gain: Param,
    bias: Param,
    eps: f32,
}

impl LayerNorm {
    /// The layer for rows of `width` values, with gain 1, bias 0 and eps 1e-5.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(width: usize, device: &Device) -> Result<Self> {
        let gain = filled("gain", &[width], 1.0, device)?;
        let bias = filled("bias", &[width], 0.0, device)?;
        Ok(Self { gain, bias, eps: 1e-5 })
    }
}

crate::module!(LayerNorm { gain, bias });

impl Layer for LayerNorm {
    /// Of `x[.., width]`.
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let (gain, bias) = (x.tape().param(&self.gain), x.tape().param(&self.bias));
        x.layer_norm(&gain, Some(&bias), self.eps)
    }
}
