//! The network: two LIF layers, 64-128-10 on the digits.

use spikegrad::lif::{Lif, Reset, Spikes};
use spikegrad::nn::{LifLayer, Linear, Module};
use spikegrad::random::Generator;
use spikegrad::{DType, Param, Result, Tape, Tensor, Var};

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
        random: &mut Generator,
    ) -> Result<Self> {
        let spiking = Lif::new().tau(2.0).reset(Reset::Soft);
        let output = match readout {
            Readout::Rate => spiking,
            Readout::Membrane => spiking.reset(Reset::None).threshold(f32::MAX),
        };
        Ok(Self {
            shape,
            encoder,
            readout,
            first: Linear::builder("first", shape.features, shape.hidden)
                .gain(2.0)
                .build(random)?,
            hidden: LifLayer::new(spiking.output(Spikes::Bits)),
            second: Linear::builder("second", shape.hidden, shape.classes)
                .gain(2.0)
                .build(random)?,
            output: LifLayer::new(output),
        })
    }

    /// Runs over `pixels [B, features]`, values between 0 and 1.
    pub fn forward(&self, tape: &Tape, pixels: &Tensor, random: &mut Generator) -> Result<Outputs> {
        let hidden = self.hidden.forward(&self.current(tape, pixels, random)?)?;
        let out = self.output.scan(&self.second.forward(&hidden)?, None)?;
        let logits = match self.readout {
            // A rate is at most 1: too flat a softmax to learn from.
            Readout::Rate => out.spikes.rate()?.mul_scalar(10.0)?,
            Readout::Membrane => out.state,
        };
        Ok(Outputs { logits, hidden })
    }

    /// The input currents of the hidden neurons, `[T, B, hidden]`.
    fn current(&self, tape: &Tape, pixels: &Tensor, random: &mut Generator) -> Result<Var> {
        let batch = pixels.shape()[0];
        let Shape { features, hidden, steps, .. } = self.shape;
        match self.encoder {
            // The same product at every step: computed once.
            Encoder::Direct => {
                let current = self.first.forward(&tape.constant(pixels))?;
                current.reshape([1, batch, hidden])?.expand([steps, batch, hidden])
            }
            Encoder::Rate => {
                let shape = [steps, batch, features];
                let spikes = random.bernoulli_each(pixels, shape, DType::Bits)?;
                self.first.forward(&tape.constant(&spikes))
            }
            Encoder::Latency => todo!(),
        }
    }
}

impl Module for Network {
    fn params(&self) -> Vec<Param> {
        let Self { first, hidden, second, output, .. } = self;
        spikegrad::nn::params_of(&[first, hidden, second, output])
    }
}
