//! Convolutional layers over time.

use super::{Init, Layer, Pass, filled};
use crate::elementwise::Activation;
use crate::error::{Error, Result};
use crate::random::Generator;
use crate::{Param, Var};

/// A causal convolution with its taps and bias: of all channels ([`CausalConv::new`], see
/// [`Var::causal_conv`]) or of each by itself ([`CausalConv::depthwise`], see
/// [`Var::depthwise_conv`]). Series are `[T, B, C]`.
#[derive(Debug, Clone)]
pub struct CausalConv {
    /// `[K, C, O]`, or `[K, C]`.
    weight: Param,
    bias: Param,
    dilation: usize,
    activation: Activation,
}

impl CausalConv {
    /// The layer from `inputs` to `outputs` channels with `taps` taps, weights uniform in
    /// `± 1 / sqrt(taps inputs)`, bias 0.
    ///
    /// # Errors
    /// [`Error::Argument`] for an extent of zero; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn new([inputs, outputs]: [usize; 2], taps: usize, random: &mut Generator) -> Result<Self> {
        Self::build(&[taps, inputs, outputs], taps.saturating_mul(inputs), random)
    }

    /// The layer for `channels` channels, each by itself, weights uniform in `± 1 / sqrt(taps)`.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn depthwise(channels: usize, taps: usize, random: &mut Generator) -> Result<Self> {
        Self::build(&[taps, channels], taps, random)
    }

    fn build(shape: &[usize], fan_in: usize, random: &mut Generator) -> Result<Self> {
        if shape.contains(&0) {
            return Err(Error::argument("causal_conv", format!("the extents {shape:?}")));
        }
        let bound = (fan_in as f32).sqrt().recip();
        let weight = Init::Uniform(bound).param("weight", shape, random)?;
        let outputs = shape.last().copied().unwrap_or(1);
        Ok(Self {
            weight,
            bias: filled("bias", &[outputs], 0.0, random.device())?,
            dilation: 1,
            activation: Activation::Identity,
        })
    }

    /// Steps between taps (1).
    #[must_use]
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self
    }

    /// The activation.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }
}

crate::module!(CausalConv { weight, bias });

impl Layer for CausalConv {
    /// Of `x[T, B, C]`.
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let (w, bias) = (x.tape().param(&self.weight), x.tape().param(&self.bias));
        if w.shape().rank() == 3 {
            return x.causal_conv(&w, Some(&bias), self.dilation, self.activation);
        }
        let y = x.depthwise_conv(&w, Some(&bias), self.dilation)?;
        match self.activation {
            Activation::Identity => Ok(y),
            activation => y.activate(activation),
        }
    }
}
