//! Muon, with Moonlight's scale, and NorMuon.

use super::rule::{Rule, check_betas};
use super::shaping::{Gain, Shaping};
use super::update::{Form, NESTEROV};
use super::{Descent, OptimizerBuilder};
use crate::error::Result;
use crate::spectral::Polar;

/// Muon (Jordan et al. 2024), the momentum made orthogonal:
///
/// ```text
/// m = mu m + (1 - mu) g        z = (1 - mu) g + mu m, or m without Nesterov's momentum
/// x = (1 - lr decay) x - lr gain polar(z)                  polar starts from z / (|z| + 1e-7)
/// ```
///
/// The polar factor is that of a matrix: of tensors with more axes, all but that of the
/// [outputs](crate::Orientation) are one; a vector becomes one of norm 1. The method is meant for
/// matrices: give the other parameters, and embeddings, another rule by a group, which shares clipping
/// and the step count:
///
/// ```
/// use spikegrad::optim::{AdamW, Muon, Optimizer};
/// use spikegrad::{Device, Param, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let weight = Param::new("weight", Tensor::from_slice(&device, &[1.0f32; 6], [2, 3])?);
/// let bias = Param::new("bias", Tensor::from_slice(&device, &[0.0f32; 3], [3])?);
/// let mut optimizer = Muon::builder()
///     .group("vectors", |p| p.value().shape().rank() != 2, AdamW::builder())
///     .build(&[weight, bias])?;
/// # let _ = &mut optimizer;
/// # Ok(())
/// # }
/// ```
pub type Muon = Descent<MuonRule>;

/// The options of [`Muon`] and [`NorMuon`].
pub type MuonBuilder = OptimizerBuilder<MuonRule>;

/// The rule of [`Muon`] and [`NorMuon`].
#[derive(Debug, Clone)]
pub struct MuonRule {
    name: &'static str,
    momentum: f64,
    nesterov: bool,
}

impl Muon {
    /// Options: learning rate 0.02, momentum 0.95 in Nesterov's form, five of Muon's quintic steps,
    /// gain `sqrt(max(1, outputs / inputs))`, no decay, no clipping.
    pub fn builder() -> MuonBuilder {
        builder("muon")
    }
}

/// NorMuon (Li et al. 2025): [`Muon`] whose orthogonal direction u is normalised neuron by neuron,
/// with a running average over steps, and scaled to the Frobenius norm that it had:
///
/// ```text
/// v_i = b2 v_i + (1 - b2) mean_j u_ij^2        u_i = u_i / (sqrt(v_i) + 1e-8)
/// ```
///
/// A neuron is what the parameter's [orientation](crate::Orientation) calls an output: a column of the
/// weights of this crate's layers. Its builder makes the type of [`Muon`].
#[derive(Debug, Clone, Copy)]
pub struct NorMuon;

impl NorMuon {
    /// Options: those of [`Muon::builder`], and 0.95 for the average over neurons.
    pub fn builder() -> MuonBuilder {
        builder("normuon").neuron_beta(0.95)
    }
}

/// What the norm of the momentum is added to: without gradients steps fade with the momentum.
const EPS: f64 = 1e-7;

fn builder(name: &'static str) -> MuonBuilder {
    let rule = MuonRule { name, momentum: 0.95, nesterov: true };
    let mut builder = OptimizerBuilder::new(rule, 0.02, 0.0);
    builder.settings.shapes.after = Some(Shaping::Polar(Polar::muon(5).eps(EPS)));
    builder
}

impl MuonBuilder {
    /// The momentum, 0.95 by default.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }

    /// Nesterov's momentum, on by default.
    pub fn nesterov(mut self, on: bool) -> Self {
        self.rule.nesterov = on;
        self
    }

    /// How the polar factor is computed; five of Muon's quintic steps by default. Its
    /// [`eps`](Polar::eps) is 1e-7 unless chosen.
    pub fn polar(mut self, polar: Polar) -> Self {
        self.settings.shapes.after = Some(Shaping::Polar(polar.eps_by_default(EPS)));
        self
    }

    /// Whether the gain is that of Moonlight (Liu et al. 2025), `0.2 sqrt(max(outputs, inputs))`: it
    /// gives updates the root mean square of AdamW's, whose rate and decay then suit. Off by default.
    pub fn moonlight(mut self, on: bool) -> Self {
        self.settings.shapes.gain = if on { Gain::Moonlight } else { Gain::Rectangle };
        self
    }

    /// The decay rate of NorMuon's average over neurons.
    pub fn neuron_beta(mut self, beta: f64) -> Self {
        self.settings.shapes.neurons = Some(beta);
        self
    }
}

impl Rule for MuonRule {
    fn name(&self) -> &'static str {
        self.name
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name, &[self.momentum])
    }

    fn form(&self) -> Form {
        let mode = if self.nesterov { NESTEROV } else { 0 };
        let rests = [1.0 - self.momentum, 0.0];
        Form { mode, betas: [self.momentum, 0.0], rests, mask: None }
    }
}
