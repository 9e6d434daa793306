//! From the values of a series after the operator to its forecast.

use super::SpikfGoConfig;
use super::tokens::fire;
use crate::elementwise::Activation;
use crate::error::Result;
use crate::lif::Spikes;
use crate::models::Pass;
use crate::nn::{Linear, Module, WeightNormLinear};
use crate::random::Generator;
use crate::{Param, Var};

/// The look-back projected to slots, neurons, the mean of their spikes, two weight-normed layers with
/// a GELU between. The first layer and the mean over the steps are linear: the mean comes first.
#[derive(Debug)]
pub(super) struct Decoder {
    /// `[L, p]`
    slots: Linear,
    first: WeightNormLinear,
    second: WeightNormLinear,
    spiking: bool,
}

impl Decoder {
    pub(super) fn new(config: &SpikfGoConfig, random: &mut Generator) -> Result<Self> {
        let slots = Linear::builder("decoder.slots", config.look_back, config.slots).bias(false);
        let width = config.embed.saturating_mul(config.slots);
        let slots = slots.build(random)?;
        let first = WeightNormLinear::new("decoder.first", width, config.reduced, random)?;
        let second =
            WeightNormLinear::new("decoder.second", config.reduced, config.horizon, random)?;
        let first = first.activation(Activation::Gelu);
        Ok(Self { slots, first, second, spiking: config.spiking })
    }

    /// The forecast `[series, H]` of `y[T, series, L, E]`.
    pub(super) fn forward(&self, y: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let [steps, series, _, channels] = *y.shape().dims() else {
            return Err(crate::Error::shape(super::OP, format!("values of {}", y.shape())));
        };
        let current = self.slots.forward(&y.transpose()?)?;
        let width = channels * self.slots.weight().value().shape()[1];
        let current = current.reshape([steps, series, width])?;
        let spikes = fire(&current, self.spiking, Spikes::Bits)?;
        pass.see_spikes(|| "decoder".into(), &spikes)?;
        self.second.forward(&self.first.forward(&spikes.rate()?)?)
    }
}

impl Module for Decoder {
    fn params(&self) -> Vec<Param> {
        let layers: [&dyn Module; 3] = [&self.slots, &self.first, &self.second];
        layers.into_iter().flat_map(Module::params).collect()
    }
}
