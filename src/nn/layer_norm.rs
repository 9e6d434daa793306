//! Layer normalisation with its gain and bias.

use super::{Module, filled};
use crate::{Device, Param, Result, Var};

/// `y = gain (x - mean) / sqrt(var + eps) + bias` over the last axis; see [`Var::layer_norm`].
#[derive(Debug, Clone)]
pub struct LayerNorm {
    gain: Param,
    bias: Param,
    eps: f32,
}

impl LayerNorm {
    /// The layer for rows of `width` values, with gain 1, bias 0 and eps 1e-5. `name` is the prefix
    /// of the parameters' names.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(name: &str, width: usize, device: &Device) -> Result<Self> {
        let gain = filled(format!("{name}.gain"), &[width], 1.0, device)?;
        let bias = filled(format!("{name}.bias"), &[width], 0.0, device)?;
        Ok(Self { gain, bias, eps: 1e-5 })
    }

    /// Applies the layer to `x[.., width]`.
    ///
    /// # Errors
    /// Those of [`Var::layer_norm`].
    pub fn forward(&self, x: &Var) -> Result<Var> {
        let (gain, bias) = (x.tape().param(&self.gain), x.tape().param(&self.bias));
        x.layer_norm(&gain, Some(&bias), self.eps)
    }
}

impl Module for LayerNorm {
    fn params(&self) -> Vec<Param> {
        vec![self.gain.clone(), self.bias.clone()]
    }
}
