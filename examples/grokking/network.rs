//! The network: one-hot pairs, two hidden layers, a logit a residue.

use spikegrad::elementwise::Activation;
use spikegrad::lif::{Lif, Reset};
use spikegrad::nn::{Layer, LifLayer, Linear, Pass};
use spikegrad::random::Generator;
use spikegrad::{Result, Tensor, Var};

/// What the second hidden layer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neuron {
    /// `max(0, x)`
    Relu,
    /// LIF neurons that see the same current for some steps; their rates are read.
    Lif,
}

/// `2 p - hidden - hidden - p`.
pub struct Network {
    first: Linear,
    second: Linear,
    third: Linear,
    /// The spiking neurons and their steps.
    spiking: Option<(LifLayer, usize)>,
}

impl Network {
    /// A network with weights from `random`, uniform in one over the root of a layer's inputs.
    pub fn new(
        modulus: usize,
        hidden: usize,
        (neuron, steps): (Neuron, usize),
        random: &mut Generator,
    ) -> Result<Self> {
        let rectified = match neuron {
            Neuron::Relu => Activation::Relu,
            Neuron::Lif => Activation::Identity,
        };
        let second = Linear::builder(hidden, hidden).activation(rectified);
        let lif = Lif::new().tau(2.0).reset(Reset::Soft);
        Ok(Self {
            first: Linear::builder(2 * modulus, hidden).build(random)?,
            second: second.build(random)?,
            third: Linear::builder(hidden, modulus).build(random)?,
            spiking: (neuron == Neuron::Lif).then(|| (LifLayer::new(lif), steps)),
        })
    }

    /// The logits `[count, p]` of `tokens [2, count]`.
    pub fn forward(&self, tokens: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let tape = pass.tape().clone();
        // A product with a one-hot pair is the sum of two rows.
        let rows = tape.param(self.first.weight()).embedding(tokens)?;
        let mut x = rows.sum(&[0], false)?;
        if let Some(bias) = self.first.bias() {
            x = x.add(&tape.param(bias))?;
        }
        let mut x = self.second.forward(&x.relu()?, pass)?;
        if let Some((neurons, steps)) = &self.spiking {
            x = neurons.forward(&x.repeat_steps(*steps)?, pass)?.rate()?;
        }
        self.third.forward(&x, pass)
    }
}

spikegrad::module!(Network { first, second, third });
