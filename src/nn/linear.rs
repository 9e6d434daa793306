//! The affine layer.

use super::Module;
use crate::elementwise::Activation;
use crate::error::{Error, Result};
use crate::linalg;
use crate::random::Generator;
use crate::{Param, Tensor, Var};

/// `y = act(x W + b)` over the last axis: `x [.., inputs]`, f32 or packed spikes, `y [.., outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
    activation: Activation,
}

/// Options of [`Linear`]; made by [`Linear::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LinearBuilder {
    name: String,
    inputs: usize,
    outputs: usize,
    bias: bool,
    gain: f32,
    activation: Activation,
}

impl Linear {
    /// Options: with bias, gain 1, no activation. `name` is the prefix of the parameters' names.
    pub fn builder(name: impl Into<String>, inputs: usize, outputs: usize) -> LinearBuilder {
        let activation = Activation::Identity;
        LinearBuilder { name: name.into(), inputs, outputs, bias: true, gain: 1.0, activation }
    }

    /// Applies the layer; see [`linalg::linear`].
    ///
    /// # Errors
    /// Those of [`linalg::linear`].
    pub fn forward(&self, x: &Var) -> Result<Var> {
        let weight = x.tape().param(&self.weight);
        let bias = self.bias.as_ref().map(|bias| x.tape().param(bias));
        linalg::linear(x, &weight, bias.as_ref(), self.activation)
    }

    /// The weight `[inputs, outputs]`.
    pub fn weight(&self) -> &Param {
        &self.weight
    }

    /// The bias `[outputs]`.
    pub fn bias(&self) -> Option<&Param> {
        self.bias.as_ref()
    }
}

impl Module for Linear {
    fn params(&self) -> Vec<Param> {
        [&self.weight].into_iter().chain(&self.bias).cloned().collect()
    }
}

impl LinearBuilder {
    /// Whether there is a bias.
    pub fn bias(mut self, on: bool) -> Self {
        self.bias = on;
        self
    }

    /// Scales the initial weights: they are uniform in `± gain / sqrt(inputs)`, as is the bias.
    /// Gain 1 is PyTorch's default, `sqrt(3)` keeps the variance of the input (LeCun 1998),
    /// `sqrt(6)` that of a rectified one (He et al. 2015).
    pub fn gain(mut self, gain: f32) -> Self {
        self.gain = gain;
        self
    }

    /// The activation, computed with the product.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The layer, its weights drawn from `random`.
    ///
    /// # Errors
    /// [`Error::Argument`] without inputs or outputs; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn build(self, random: &mut Generator) -> Result<Linear> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if inputs == 0 || outputs == 0 {
            let detail = format!("`{}` has {inputs} inputs and {outputs} outputs", self.name);
            return Err(Error::argument("linear", detail));
        }
        let bound = self.gain / (inputs as f32).sqrt();
        let mut draw = |name: &str, shape: &[usize]| {
            // Scaled on the host: every device starts from the same bits.
            let unit = random.uniform(shape)?.to_vec::<f32>()?;
            let values: Vec<f32> = unit.iter().map(|u| (2.0 * u - 1.0) * bound).collect();
            let value = Tensor::from_slice(random.device(), &values, shape)?;
            Ok::<_, Error>(Param::new(format!("{}.{name}", self.name), value))
        };
        let weight = draw("weight", &[inputs, outputs])?;
        let bias = if self.bias { Some(draw("bias", &[outputs])?) } else { None };
        Ok(Linear { weight, bias, activation: self.activation })
    }
}
