//! The affine layer whose weights are directions and lengths.

use super::{Layer, Linear, Pass, filled};
use crate::elementwise::Activation;
use crate::error::Result;
use crate::linalg::linear;
use crate::random::Generator;
use crate::{Param, Var, reduce};

/// `y = act(x W + b)`, `W[:, n] = g[n] v[:, n] / ||v[:, n]||`: direction and length of the weights of
/// each output are learned apart. `x [.., inputs]`, f32 or packed spikes, `y [.., outputs]`.
///
/// Source: Salimans and Kingma 2016, Weight Normalization; PyTorch's `weight_norm` with `dim = 0`.
#[derive(Debug, Clone)]
pub struct WeightNormLinear {
    /// `v [inputs, outputs]`
    direction: Param,
    /// `g [outputs]`
    length: Param,
    bias: Param,
    activation: Activation,
}

impl WeightNormLinear {
    /// The layer, with the weights of a [`Linear`] to start from.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without inputs or outputs; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(inputs: usize, outputs: usize, random: &mut Generator) -> Result<Self> {
        let layer = Linear::builder(inputs, outputs).build(random)?;
        let direction = Param::new("direction", layer.weight().value().clone());
        let length = reduce::norm(direction.value(), &[0], false)?;
        let length = Param::new("length", length);
        let bias = match layer.bias() {
            Some(bias) => bias.clone(),
            None => filled("bias", &[outputs], 0.0, random.device())?,
        };
        Ok(Self { direction, length, bias, activation: Activation::Identity })
    }

    /// With an activation, computed with the product.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }
}

crate::module!(WeightNormLinear { direction, length, bias });

impl Layer for WeightNormLinear {
    /// See [`Var::weight_norm`] and [`linear`].
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let tape = x.tape();
        let (direction, length) = (tape.param(&self.direction), tape.param(&self.length));
        let weight = direction.weight_norm(&length)?;
        linear(x, &weight, Some(&tape.param(&self.bias)), self.activation)
    }
}
