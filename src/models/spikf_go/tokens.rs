//! From values to spikes of E channels.

use super::SpikfGoConfig;
use crate::error::Result;
use crate::fourier::{cpg_pairs, node_lines};
use crate::layout::concat;
use crate::lif::{Lif, Spikes};
use crate::linalg::linear;
use crate::models::Pass;
use crate::nn::{BatchNorm, Linear, Module, filled_param, normal_tensor};
use crate::random::Generator;
use crate::{Device, Param, Tensor, Var, elementwise};

/// Added to the mean square over the nodes.
const EPS: f32 = 1e-6;
/// How much stronger the last step's current is than the first's.
const RAMP: f32 = 0.02;

/// `tok = rms_norm(a x e + b)` over the nodes, times and plus what each step learns: the currents of
/// the embedding's neurons.
#[derive(Debug)]
pub(super) struct Tokens {
    /// `e [E]`
    embedding: Param,
    /// `[E]` each.
    gain: Param,
    bias: Param,
    norm: Param,
    /// `[T, E]` each.
    step_gain: Param,
    step_bias: Param,
    /// `1 + 0.02 t / (T - 1)`, `[T, 1, 1]`.
    ramp: Tensor,
    positions: Option<Positions>,
    spiking: bool,
}

impl Tokens {
    pub(super) fn new(config: &SpikfGoConfig, random: &mut Generator) -> Result<Self> {
        let device = &random.device().clone();
        let (steps, channels) = (config.run_steps(), config.embed);
        let filled = |name: &str, shape: &[usize], value: f32| {
            filled_param(format!("tokens.{name}"), shape, value, device)
        };
        let last = steps.max(2) - 1;
        let ramp: Vec<f32> = (0..steps).map(|t| 1.0 + RAMP * t as f32 / last as f32).collect();
        Ok(Self {
            embedding: normal_tensor("tokens.embedding".into(), &[channels], 1.0, random)?,
            gain: filled("gain", &[channels], 1.0)?,
            bias: filled("bias", &[channels], 0.0)?,
            norm: filled("norm", &[channels], 1.0)?,
            step_gain: filled("step_gain", &[steps, channels], 1.0)?,
            step_bias: filled("step_bias", &[steps, channels], 0.0)?,
            ramp: Tensor::from_slice(device, &ramp, [steps, 1, 1])?,
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

    /// The currents as lines in x: slopes and levels `[T, B, 2, E]`. Embedding and affine maps are
    /// lines, and the mean square of a line in x is one in the mean and the variance of x: what has
    /// T B M E elements is made once, at the end.
    fn lines(&self, x: &Var) -> Result<Var> {
        let tape = x.tape();
        let param = |p: &Param| tape.param(p);
        let (mean, variance) = (x.mean(&[1], true)?, x.variance(&[1], true, 0)?);
        let (slope, level) = (param(&self.gain).mul(&param(&self.embedding))?, param(&self.bias));
        let centre = mean.mul(&slope)?.add(&level)?;
        let square = centre.square()?.add(&variance.mul(&slope.square()?)?)?;
        let scale = param(&self.norm).div(&square.add_scalar(EPS)?.sqrt()?)?;
        let (steps, channels) = (self.ramp.count(), slope.shape().count());
        let per_step = |p: &Param| -> Result<Var> {
            param(p).reshape([steps, 1, channels])?.mul(&tape.constant(&self.ramp))
        };
        let (gain, bias) = (per_step(&self.step_gain)?, per_step(&self.step_bias)?);
        let slope = gain.mul(&scale.mul(&slope)?)?;
        let level = gain.mul(&scale.mul(&level)?)?.add(&bias)?;
        let shape = [steps, x.shape()[0], 1, channels];
        concat(&[&slope.reshape(shape)?, &level.reshape(shape)?], 2)
    }

    pub(super) fn statistics(&self) -> Vec<Param> {
        self.positions.iter().flat_map(|positions| positions.norm.statistics()).collect()
    }
}

impl Module for Tokens {
    fn params(&self) -> Vec<Param> {
        let own =
            [&self.embedding, &self.gain, &self.bias, &self.norm, &self.step_gain, &self.step_bias];
        let positions = self.positions.iter().flat_map(Module::params);
        own.into_iter().cloned().chain(positions).collect()
    }
}

/// The spikes of SpikF-GO's neurons, or what stands for them.
pub(super) fn fire(current: &Var, spiking: bool, output: Spikes) -> Result<Var> {
    if spiking {
        Ok(Lif::spikf_go().output(output).scan(current, None)?.spikes)
    } else {
        current.relu()
    }
}

/// Pairs of rhythms.
const PAIRS: usize = 20;

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
        let rows = channels + 2 * PAIRS;
        let mut part = |name: &str, inputs: usize| {
            let layer = Linear::builder(format!("positions.{name}"), inputs, channels).bias(false);
            // Drawn as the rows of one matrix.
            layer.gain((inputs as f32 / rows as f32).sqrt()).build(random)
        };
        Ok(Self {
            codes: elementwise::unpack(&codes)?,
            spikes: part("spikes", channels)?,
            positions: part("codes", 2 * PAIRS)?,
            norm: BatchNorm::new("positions.norm", channels, device)?,
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
        let joined = self.spikes.forward(spikes)?.add(&codes)?;
        let current = self.norm.forward(&joined, pass.is_training())?;
        let spikes = fire(&current, self.spiking, Spikes::F32)?;
        pass.see_spikes(|| "positions".into(), &spikes)?;
        Ok(spikes)
    }
}

impl Module for Positions {
    fn params(&self) -> Vec<Param> {
        let layers: [&dyn Module; 3] = [&self.spikes, &self.positions, &self.norm];
        layers.into_iter().flat_map(Module::params).collect()
    }
}
