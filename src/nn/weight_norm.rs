//! The affine layer whose weights are directions and lengths.

use super::{Linear, Module, filled};
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
    /// The layer, with the weights of a [`Linear`] to start from. `name` is the prefix of the
    /// parameters' names.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without inputs or outputs; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(name: &str, inputs: usize, outputs: usize, random: &mut Generator) -> Result<Self> {
        let layer = Linear::builder(name, inputs, outputs).build(random)?;
        let direction = Param::new(format!("{name}.direction"), layer.weight().value().clone());
        let length = reduce::norm(direction.value(), &[0], false)?;
        let length = Param::new(format!("{name}.length"), length);
        let bias = match layer.bias() {
            Some(bias) => bias.clone(),
            None => filled(format!("{name}.bias"), &[outputs], 0.0, random.device())?,
        };
        Ok(Self { direction, length, bias, activation: Activation::Identity })
    }

    /// With an activation, computed with the product.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Applies the layer; see [`Var::weight_norm`] and [`linear`].
    ///
    /// # Errors
    /// Those of [`linear`].
    pub fn forward(&self, x: &Var) -> Result<Var> {
        let tape = x.tape();
        let (direction, length) = (tape.param(&self.direction), tape.param(&self.length));
        let weight = direction.weight_norm(&length)?;
        linear(x, &weight, Some(&tape.param(&self.bias)), self.activation)
    }
}

impl Module for WeightNormLinear {
    fn params(&self) -> Vec<Param> {
        vec![self.direction.clone(), self.length.clone(), self.bias.clone()]
    }
}
