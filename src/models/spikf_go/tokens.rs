//! From values to spikes of E channels.

use super::SpikfGoConfig;
use crate::error::Result;
use crate::fourier::{cpg_pairs, node_lines, token_lines};
use crate::lif::{Lif, Spikes};
use crate::linalg::linear;
use crate::nn::{BatchNorm, Init, Layer, Linear, Pass};
use crate::random::Generator;
use crate::{Device, Param, Tensor, Var, elementwise};

/// The embedding; see [`token_lines`].
#[derive(Debug)]
pub(super) struct Tokens {
    /// `[4 E]`: what embeds, gain, bias, gain of the RMS norm.
    channels: Param,
    /// `[2 T E]`: gains, then biases of every step.
    steps: Param,
    extents: [usize; 2],
    positions: Option<Positions>,
    spiking: bool,
}

impl Tokens {
    pub(super) fn new(config: &SpikfGoConfig, random: &mut Generator) -> Result<Self> {
        let device = &random.device().clone();
        let (steps, width) = (config.run_steps(), config.embed);
        // Sizes are refused before a list is made of them.
        drop(Tensor::empty(device, [2, steps, width], crate::DType::F32)?);
        let embedding = Init::Normal(1.0).param("embedding", &[width], random)?;
        let mut channels = embedding.value().to_vec::<f32>()?;
        let rows = [1.0, 0.0, 1.0].into_iter();
        channels.extend(rows.flat_map(|value| std::iter::repeat_n(value, width)));
        let gains = std::iter::repeat_n(1.0, steps * width);
        let biases = std::iter::repeat_n(0.0, steps * width);
        let per_step: Vec<f32> = gains.chain(biases).collect();
        let channels = Tensor::from_slice(device, &channels, [4 * width])?;
        let per_step = Tensor::from_slice(device, &per_step, [2 * steps * width])?;
        Ok(Self {
            channels: Param::new("channels", channels),
            steps: Param::new("steps", per_step),
            extents: [steps, width],
            positions: config.cpg.map(|tau| Positions::new(config, tau, random)).transpose()?,
            spiking: config.spiking,
        })
    }

    /// The spikes `[T, B, M, E]` of `x[B, M]`.
    pub(super) fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let current = node_lines(x, &self.lines(x)?)?;
        let spikes = fire(&current, self.spiking, Spikes::F32)?;
        pass.see_spikes(|| "embedding".into(), &spikes)?;
        match &self.positions {
            Some(positions) => positions.forward(&spikes, pass),
            None => Ok(spikes),
        }
    }

    /// The currents as lines in x: slopes and levels `[T, B, 2, E]`.
    fn lines(&self, x: &Var) -> Result<Var> {
        let [steps, width] = self.extents;
        let (mean, variance) = (x.mean(&[1], false)?, x.variance(&[1], false, 0)?);
        let channels = x.tape().param(&self.channels).reshape([4, width])?;
        let per_step = x.tape().param(&self.steps).reshape([2, steps, width])?;
        token_lines(&mean, &variance, &channels, &per_step)
    }
}

crate::module!(Tokens { channels: "tokens.channels", steps: "tokens.steps", positions });

/// The spikes of SpikF-GO's neurons, or what stands for them.
pub(super) fn fire(current: &Var, spiking: bool, output: Spikes) -> Result<Var> {
    if spiking {
        Ok(Lif::spikf_go().output(output).scan(current, None)?.spikes)
    } else {
        current.relu()
    }
}

/// Pairs of rhythms, and the channels that code them.
const PAIRS: usize = 20;
pub(super) const CODES: usize = 2 * PAIRS;

/// Positional codes joined to the spikes: `LIF(BN([s, code] W))`.
#[derive(Debug)]
struct Positions {
    /// `[T, M, 40]`
    codes: Tensor,
    /// The rows of W for spikes, and those for codes.
    spikes: Linear,
    positions: Linear,
    norm: BatchNorm,
    spiking: bool,
}

impl Positions {
    fn new(config: &SpikfGoConfig, tau: f32, random: &mut Generator) -> Result<Self> {
        let device: &Device = &random.device().clone();
        let (steps, nodes, channels) = (config.run_steps(), config.nodes(), config.embed);
        let codes = cpg_pairs(device, steps, nodes, PAIRS, f64::from(tau))?;
        let rows = channels + CODES;
        let mut part = |inputs: usize| {
            let layer = Linear::builder(inputs, channels).bias(false);
            // Drawn as the rows of one matrix.
            layer.gain((inputs as f32 / rows as f32).sqrt()).build(random)
        };
        Ok(Self {
            codes: elementwise::unpack(&codes)?,
            spikes: part(channels)?,
            positions: part(CODES)?,
            norm: BatchNorm::new(channels, device)?,
            spiking: config.spiking,
        })
    }

    fn forward(&self, spikes: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let tape = spikes.tape();
        let [steps, _, nodes, channels] = *spikes.shape().dims() else {
            return Err(crate::Error::shape(super::OP, format!("spikes of {}", spikes.shape())));
        };
        let codes = linear(
            &tape.constant(&self.codes),
            &tape.param(self.positions.weight()),
            None,
            elementwise::Activation::Identity,
        )?;
        let codes = codes.reshape([steps, 1, nodes, channels])?;
        let joined = self.spikes.forward(spikes, pass)?.add(&codes)?;
        let current = self.norm.forward(&joined, pass)?;
        let spikes = fire(&current, self.spiking, Spikes::F32)?;
        pass.see_spikes(|| "positions".into(), &spikes)?;
        Ok(spikes)
    }
}

crate::module!(Positions { spikes, positions: "codes", norm });
