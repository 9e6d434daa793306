//! Adam and AdamW.

use super::numbers::Inputs;
use super::rule::{Rule, check_betas, check_eps};
use super::update::Form;
use super::{Descent, OptimizerBuilder};
use crate::error::Result;
use crate::narrow::positive;

/// AdamW (Loshchilov and Hutter 2019), one launch a parameter, everything in place:
///
/// ```text
/// m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
/// x = (1 - lr decay) x - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
/// ```
///
/// Kept is the root of v, so that gradients of every scale that f32 has are right. `g` is the gradient
/// after clipping, `t` counts the steps that were not skipped. See
/// [`Optimizer`](super::Optimizer) for how to use it.
pub type AdamW = Descent<AdamRule>;

/// The options of [`AdamW`] and [`Adam`].
pub type AdamWBuilder = OptimizerBuilder<AdamRule>;

/// The rule of [`AdamW`] and [`Adam`].
#[derive(Debug, Clone)]
pub struct AdamRule {
    name: &'static str,
    pub(super) betas: [f64; 2],
    pub(super) eps: f64,
    spikes: Option<f64>,
}

/// Adam (Kingma and Ba 2015): [`AdamW`] without decay. Its builder makes the same type.
#[derive(Debug, Clone, Copy)]
pub struct Adam;

impl Adam {
    /// Options: learning rate 1e-3, betas 0.9 and 0.999, eps 1e-8, no decay, no clipping.
    pub fn builder() -> AdamWBuilder {
        OptimizerBuilder::new(AdamRule::new("adam"), 1e-3, 0.0)
    }
}

impl AdamW {
    /// Options: learning rate 1e-3, betas 0.9 and 0.999, eps 1e-8, decay 0.01 on parameters with two
    /// axes and more, no clipping.
    pub fn builder() -> AdamWBuilder {
        OptimizerBuilder::new(AdamRule::new("adamw"), 1e-3, 0.01)
    }
}

impl AdamWBuilder {
    /// The decay rates of both moments, 0.9 and 0.999 by default.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.rule.betas = [beta1, beta2];
        self
    }

    /// What is added to the root of the second moment, 1e-8 by default.
    pub fn eps(mut self, eps: f64) -> Self {
        self.rule.eps = eps;
        self
    }

    /// Limits every element of the gradient to `sqrt(theta v)`, with its second moment `v` of the
    /// step before, as [`Spam`](super::Spam) does; from step 20 on. No limit by default.
    pub fn spike_clip(mut self, theta: f64) -> Self {
        self.rule.spikes = Some(theta);
        self
    }
}

/// Steps that second moments take to settle before gradients are held against them.
pub(super) const GRACE: u64 = 20;

impl AdamRule {
    fn new(name: &'static str) -> Self {
        Self { name, betas: [0.9, 0.999], eps: 1e-8, spikes: None }
    }
}

/// The form of two exponential moments.
pub(super) fn form(betas: [f64; 2]) -> Form {
    Form { betas, rests: betas.map(|beta| 1.0 - beta), ..Form::default() }
}

impl Rule for AdamRule {
    fn name(&self) -> &'static str {
        self.name
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m", "root"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name, &self.betas)?;
        check_eps(self.name, self.eps)?;
        self.spikes.map_or(Ok(()), |theta| positive(self.name, "spike limit", theta).map(drop))
    }

    fn form(&self) -> Form {
        form(self.betas)
    }

    fn numbers(&self, step: u64, rate: f64) -> Inputs {
        let spikes = self.spikes.filter(|_| step >= GRACE).unwrap_or(0.0);
        Inputs { betas: self.betas, eps: self.eps, spikes, ..Inputs::new(step, rate) }
    }
}
