//! The affine layer.

use super::{Init, Layer, Pass};
use crate::elementwise::Activation;
use crate::error::{Error, Result};
use crate::linalg;
use crate::random::Generator;
use crate::{Param, Var};

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
    inputs: usize,
    outputs: usize,
    bias: bool,
    gain: f32,
    activation: Activation,
}

impl Linear {
    /// Options: with bias, gain 1, no activation.
    pub fn builder(inputs: usize, outputs: usize) -> LinearBuilder {
        let activation = Activation::Identity;
        LinearBuilder { inputs, outputs, bias: true, gain: 1.0, activation }
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

crate::module!(Linear { weight, bias });

impl Layer for Linear {
    /// See [`linalg::linear`].
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let weight = x.tape().param(&self.weight);
        let bias = self.bias.as_ref().map(|bias| x.tape().param(bias));
        linalg::linear(x, &weight, bias.as_ref(), self.activation)
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
    /// [`Error::Argument`] without inputs or outputs, and for a gain that is negative or not finite; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn build(self, random: &mut Generator) -> Result<Linear> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if inputs == 0 || outputs == 0 {
            let detail = format!("{inputs} inputs and {outputs} outputs");
            return Err(Error::argument("linear", detail));
        }
        let bound = self.gain / (inputs as f32).sqrt();
        let mut draw =
            |name: &str, shape: &[usize]| Init::Uniform(bound).param(name, shape, random);
        let weight = draw("weight", &[inputs, outputs])?;
        let bias = if self.bias { Some(draw("bias", &[outputs])?) } else { None };
        Ok(Linear { weight, bias, activation: self.activation })
    }
}

#[cfg(test)]
mod tests {
    use super::Linear;
    use crate::Device;
    use crate::random::Generator;

    /// Files and published results begin with these bits.
    #[test]
    fn weights_are_the_scaled_draws_and_then_the_bias() {
        let device = Device::host();
        let layer = Linear::builder(9, 4).gain(2.0);
        let layer = layer.build(&mut Generator::new(&device, 5).unwrap()).unwrap();
        let mut random = Generator::new(&device, 5).unwrap();
        let bound = 2.0 / 9f32.sqrt();
        for param in [layer.weight(), layer.bias().unwrap()] {
            let unit = random.uniform(param.value().shape()).unwrap().to_vec::<f32>().unwrap();
            let wanted: Vec<f32> = unit.iter().map(|u| (2.0 * u - 1.0) * bound).collect();
            assert_eq!(param.value().to_vec::<f32>().unwrap(), wanted);
        }
    }
}
