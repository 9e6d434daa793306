//! What a SpikF-GO is made of.

use super::super::config::{Fields, all_positive, field};
use super::OP;
use crate::error::{Error, Result};
use std::str::FromStr;

/// Through what the gradient of the complex spike gates flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GateGradient {
    /// The gate is a constant, as in the released code: the neurons of the gates learn nothing.
    #[default]
    Constant,
    /// Also through the neurons, by the arctangent surrogate.
    StraightThrough,
}

/// What is added to the loss for open frequencies: `weight MSE rho`, the MSE taken as a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Penalty {
    /// rho is the expected part of gates that are not 0, with its gradient.
    #[default]
    Exact,
    /// rho is the mean of `sigmoid(logits)` without a gradient, as in the released code: gates learn
    /// from the MSE alone, and the penalty changes what is printed.
    Detached,
}

/// Extents of a [`SpikfGo`](super::SpikfGo).
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct SpikfGoConfig {
    pub(super) variables: usize,
    pub(super) look_back: usize,
    pub(super) horizon: usize,
    pub(super) steps: usize,
    pub(super) embed: usize,
    pub(super) slots: usize,
    pub(super) reduced: usize,
    pub(super) norm: bool,
    pub(super) spiking: bool,
    pub(super) frequency_gate: bool,
    pub(super) penalty: Penalty,
    pub(super) penalty_weight: f32,
    pub(super) gate: GateGradient,
    pub(super) residual: f32,
    pub(super) cpg: Option<f32>,
}

impl SpikfGoConfig {
    /// A model of `variables` series: 12 values in, 12 out, 4 simulation steps, embedding of 128,
    /// look-back projected to 32 slots, reduced to 64 (hidden 256), windows normalised, gated
    /// frequencies with the exact penalty, no positional codes.
    pub fn new(variables: usize) -> Self {
        Self {
            variables,
            look_back: 12,
            horizon: 12,
            steps: 4,
            embed: 128,
            slots: 32,
            reduced: 64,
            norm: true,
            spiking: true,
            frequency_gate: true,
            penalty: Penalty::Exact,
            penalty_weight: 0.2,
            gate: GateGradient::Constant,
            residual: 0.1,
            cpg: None,
        }
    }

    /// Values that are seen of each series.
    pub fn look_back(mut self, steps: usize) -> Self {
        self.look_back = steps;
        self
    }

    /// Values that each series is continued by.
    pub fn horizon(mut self, steps: usize) -> Self {
        self.horizon = steps;
        self
    }

    /// T, the simulation steps of the neurons.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// E, the channels of a value.
    pub fn embed(mut self, channels: usize) -> Self {
        self.embed = channels;
        self
    }

    /// What the look-back is projected to in the decoder.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// The width of the decoder.
    pub fn reduced(mut self, width: usize) -> Self {
        self.reduced = width;
        self
    }

    /// The decoder's width by the paper's `hidden`: a quarter of it, within 16 ..= 128.
    pub fn hidden(mut self, hidden: usize) -> Self {
        self.reduced = (hidden / 4).clamp(16, 128);
        self
    }

    /// Whether the series of a window are normalised, and the forecast put back on their scale; see
    /// [`InstanceNorm`](crate::nn::InstanceNorm).
    pub fn norm(mut self, on: bool) -> Self {
        self.norm = on;
        self
    }

    /// Whether it spikes. Without, it is its own non-spiking twin: one step instead of T; in place of
    /// every LIF neuron (embedding, positional codes, decoder) a relu of what would charge it; in
    /// place of every complex spike gate a relu of the real and of the imaginary part. All else,
    /// frequency gate included, stays.
    pub fn spiking(mut self, on: bool) -> Self {
        self.spiking = on;
        self
    }

    /// Whether each frequency has a Hard Concrete gate.
    pub fn frequency_gate(mut self, on: bool) -> Self {
        self.frequency_gate = on;
        self
    }

    /// The penalty on open frequencies, and its weight (0.2).
    pub fn penalty(mut self, penalty: Penalty, weight: f32) -> Self {
        (self.penalty, self.penalty_weight) = (penalty, weight);
        self
    }

    /// Through what the gradient of the spike gates flows.
    pub fn gate(mut self, gradient: GateGradient) -> Self {
        self.gate = gradient;
        self
    }

    /// What the factors of the two residual branches start from (0.1); they are learned.
    pub fn residual(mut self, factor: f32) -> Self {
        self.residual = factor;
        self
    }

    /// Positional codes of 20 pairs of rhythms with the time constant `tau`, joined to the embedded
    /// spikes by a linear layer, a batch normalisation and neurons; see
    /// [`cpg_pairs`](crate::fourier::cpg_pairs). 10,000 is the released value, at which the codes
    /// hardly change.
    pub fn cpg(mut self, tau: Option<f32>) -> Self {
        self.cpg = tau;
        self
    }

    /// Simulation steps that are run: T, or 1 without spikes.
    pub(super) fn run_steps(&self) -> usize {
        if self.spiking { self.steps } else { 1 }
    }

    /// M, the nodes of the graph.
    pub(super) fn nodes(&self) -> usize {
        self.variables * self.look_back
    }

    pub(super) fn check(&self) -> Result<()> {
        let named = [
            ("variables", self.variables),
            ("look_back", self.look_back),
            ("horizon", self.horizon),
            ("steps", self.steps),
            ("embed", self.embed),
            ("slots", self.slots),
            ("reduced", self.reduced),
        ];
        all_positive(OP, &named)?;
        let sound = self.penalty_weight >= 0.0 && self.penalty_weight.is_finite();
        if !sound || !self.residual.is_finite() {
            let detail =
                format!("penalty weight {}, residual {}", self.penalty_weight, self.residual);
            return Err(Error::argument(OP, detail));
        }
        match self.cpg {
            Some(tau) if !(tau > 0.0 && tau.is_finite()) => {
                Err(Error::argument(OP, format!("positional codes with tau {tau}")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fields(&self) -> Fields {
        vec![
            field("variables", self.variables),
            field("look_back", self.look_back),
            field("horizon", self.horizon),
            field("steps", self.steps),
            field("embed", self.embed),
            field("slots", self.slots),
            field("reduced", self.reduced),
            field("norm", self.norm),
            field("spiking", self.spiking),
            field("frequency_gate", self.frequency_gate),
            field("penalty", self.penalty),
            field("penalty_weight", self.penalty_weight),
            field("gate", self.gate),
            field("residual", self.residual),
            field("cpg", self.cpg.map_or("none".into(), |tau| tau.to_string())),
        ]
    }

    /// The configuration that a file notes.
    #[cfg(feature = "checkpoint")]
    pub(super) fn noted(notes: &crate::checkpoint::Notes) -> Result<Self> {
        fn read<T: FromStr>(notes: &crate::checkpoint::Notes, name: &str) -> Result<T> {
            notes.parse(&format!("model.{name}"))
        }
        let cpg: String = read(notes, "cpg")?;
        let cpg = if cpg == "none" { None } else { Some(read(notes, "cpg")?) };
        Ok(Self {
            variables: read(notes, "variables")?,
            look_back: read(notes, "look_back")?,
            horizon: read(notes, "horizon")?,
            steps: read(notes, "steps")?,
            embed: read(notes, "embed")?,
            slots: read(notes, "slots")?,
            reduced: read(notes, "reduced")?,
            norm: read(notes, "norm")?,
            spiking: read(notes, "spiking")?,
            frequency_gate: read(notes, "frequency_gate")?,
            penalty: read(notes, "penalty")?,
            penalty_weight: read(notes, "penalty_weight")?,
            gate: read(notes, "gate")?,
            residual: read(notes, "residual")?,
            cpg,
        })
    }
}

/// Names of the values of an enumeration, both ways.
macro_rules! named {
    ($type:ident { $($value:ident = $name:literal),* }) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($type::$value => $name,)*
                })
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok($type::$value),)*
                    _ => Err(Error::argument(OP, format!("`{name}` is none of {:?}", [$($name),*]))),
                }
            }
        }
    };
}

named!(GateGradient { Constant = "constant", StraightThrough = "straight-through" });
named!(Penalty { Exact = "exact", Detached = "detached" });
