//! The network: two LIF layers, 576-512-10 on the digits (64 pixels, 512 edges).

use spikegrad::encode::{Latency, latency, poisson};
use spikegrad::lif::{Lif, Reset, Spikes};
use spikegrad::nn::{Layer, LifLayer, Linear, Pass};
use spikegrad::random::Generator;
use spikegrad::{DType, Result, Tensor, Var};

/// How pixels become input over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// The pixel itself, at every step.
    Direct,
    /// A spike with the pixel's value as probability, at every step.
    Rate,
    /// One spike, the earlier the brighter the pixel; none for black ones.
    Latency,
}

/// What the classes are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// The rates of ten spiking neurons.
    Rate,
    /// The last membranes of ten leaky integrators that never fire.
    Membrane,
}

/// Extents of the network.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub features: usize,
    pub hidden: usize,
    pub classes: usize,
    pub steps: usize,
}

/// Two affine layers, each followed by LIF neurons. The hidden spikes travel packed, 32 steps to a
/// word.
pub struct Network {
    shape: Shape,
    encoder: Encoder,
    readout: Readout,
    dropout: f32,
    first: Linear,
    hidden: LifLayer,
    second: Linear,
    output: LifLayer,
}

/// What the network makes of a batch.
pub struct Outputs {
    /// `[B, classes]`
    pub logits: Var,
    /// Hidden spikes `[T, B, hidden]`, packed.
    pub hidden: Var,
}

impl Network {
    /// A network with weights from `random`.
    pub fn new(
        shape: Shape,
        encoder: Encoder,
        readout: Readout,
        dropout: f32,
        random: &mut Generator,
    ) -> Result<Self> {
        // A code of single spikes asks for a longer memory.
        let tau = if encoder == Encoder::Latency { 8.0 } else { 2.0 };
        let spiking = Lif::new().tau(tau).reset(Reset::Soft);
        let output = match readout {
            Readout::Rate => spiking,
            Readout::Membrane => spiking.reset(Reset::None).threshold(f32::MAX),
        };
        Ok(Self {
            shape,
            encoder,
            readout,
            dropout,
            first: Linear::builder(shape.features, shape.hidden).gain(2.0).build(random)?,
            hidden: LifLayer::new(spiking.output(Spikes::Bits)),
            second: Linear::builder(shape.hidden, shape.classes).gain(2.0).build(random)?,
            output: LifLayer::new(output),
        })
    }

    /// Runs over `pixels [B, features]`, values between 0 and 1. In training hidden neurons are
    /// dropped.
    pub fn forward(&self, pixels: &Tensor, pass: &mut Pass<'_>) -> Result<Outputs> {
        let mut current = self.current(pixels, pass)?;
        let drops = pass.is_training() && self.dropout > 0.0;
        if drops {
            current = current.add(&self.inhibition(pixels, pass)?)?;
        }
        let hidden = self.hidden.forward(&current, pass)?;
        let mut sums = self.second.forward(&hidden, pass)?;
        if drops {
            // Those that are left stand for all.
            sums = sums.mul_scalar(1.0 / (1.0 - self.dropout))?;
        }
        let out = self.output.scan(&sums, None)?;
        let logits = match self.readout {
            // A rate is at most 1: too flat a softmax to learn from.
            Readout::Rate => out.spikes.rate()?.mul_scalar(10.0)?,
            Readout::Membrane => out.state,
        };
        Ok(Outputs { logits, hidden })
    }

    /// Silences a random part of the hidden neurons, for each image anew and for all its steps: an
    /// inhibition so strong that they never fire. Their spikes stay packed.
    fn inhibition(&self, pixels: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let (p, shape) = (self.dropout, [pixels.shape()[0], self.shape.hidden]);
        let dropped = pass.random()?.bernoulli(p, shape, DType::F32)?;
        pass.constant(&dropped).mul_scalar(-1e3)
    }

    /// The input currents of the hidden neurons, `[T, B, hidden]`.
    fn current(&self, pixels: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let steps = self.shape.steps;
        match self.encoder {
            // The same product at every step: computed once.
            Encoder::Direct => {
                self.first.forward(&pass.constant(pixels), pass)?.repeat_steps(steps)
            }
            Encoder::Rate => {
                let spikes = poisson(pixels, steps, DType::Bits, pass.random()?)?;
                self.first.forward(&pass.constant(&spikes), pass)
            }
            Encoder::Latency => {
                let code = Latency::default().linear().tau(steps as f32).silent_below_threshold();
                let spikes = latency(pixels, steps, code)?;
                self.first.forward(&pass.constant(&spikes), pass)
            }
        }
    }
}

spikegrad::module!(Network { first, hidden, second, output });
