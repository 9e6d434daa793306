//! From the values of a series after the operator to its forecast.

use super::SpikfGoConfig;
use super::tokens::fire;
use crate::Var;
use crate::elementwise::Activation;
use crate::error::Result;
use crate::lif::Spikes;
use crate::nn::{Layer, Linear, Pass, WeightNormLinear};
use crate::random::Generator;

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
        let slots = Linear::builder(config.look_back, config.slots).bias(false);
        let width = config.embed.saturating_mul(config.slots);
        let slots = slots.build(random)?;
        let first = WeightNormLinear::new(width, config.reduced, random)?;
        let second = WeightNormLinear::new(config.reduced, config.horizon, random)?;
        let first = first.activation(Activation::Gelu);
        Ok(Self { slots, first, second, spiking: config.spiking })
    }

    /// The forecast `[series, H]` of `y[T, series, L, E]`.
    pub(super) fn forward(&self, y: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let [steps, series, _, channels] = *y.shape().dims() else {
            return Err(crate::Error::shape(super::OP, format!("values of {}", y.shape())));
        };
        let current = self.slots.forward(&y.transpose()?, pass)?;
        let width = channels * self.slots.weight().value().shape()[1];
        let current = current.reshape([steps, series, width])?;
        let spikes = fire(&current, self.spiking, Spikes::Bits)?;
        pass.see_spikes(|| "decoder".into(), &spikes)?;
        let reduced = self.first.forward(&spikes.rate()?, pass)?;
        self.second.forward(&reduced, pass)
    }
}

crate::module!(Decoder { slots, first, second });
