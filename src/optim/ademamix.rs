//! AdEMAMix.

use super::adamw::form;
use super::numbers::Inputs;
use super::rule::{Rule, check_betas, check_eps};
use super::update::Form;
use super::{Descent, OptimizerBuilder};
use crate::error::Result;
use crate::narrow::not_negative;

/// AdEMAMix (Pagliardini, Ablin and Grangier 2025), Adam with a second, slow average of the
/// gradients:
///
/// ```text
/// m = b1 m + (1 - b1) g      n = b3 n + (1 - b3) g      v = b2 v + (1 - b2) g^2
/// x = (1 - lr decay) x - lr (m / (1 - b1^t) + a n) / (sqrt(v / (1 - b2^t)) + eps)
/// ```
///
/// The slow average has no bias correction. Over the first W steps of a warm-up `a` grows in
/// proportion and the half-life of the slow average evenly from that of b1 to that of b3:
/// with `f(b) = ln 0.5 / ln(b + 1e-8) - 1`, `f(b3_t) = (1 - t/W) f(b1) + (t/W) f(b3)`.
pub type AdEmaMix = Descent<AdEmaMixRule>;

/// The options of [`AdEmaMix`].
pub type AdEmaMixBuilder = OptimizerBuilder<AdEmaMixRule>;

/// The rule of [`AdEmaMix`].
#[derive(Debug, Clone)]
pub struct AdEmaMixRule {
    betas: [f64; 3],
    mix: f64,
    warmup: u64,
    eps: f64,
}

impl AdEmaMix {
    /// Options: learning rate 1e-3, betas 0.9, 0.999 and 0.9999, mix 5, no warm-up, eps 1e-8, decay
    /// 0.01 on parameters with two axes and more, no clipping.
    pub fn builder() -> AdEmaMixBuilder {
        let rule = AdEmaMixRule { betas: [0.9, 0.999, 0.9999], mix: 5.0, warmup: 0, eps: 1e-8 };
        OptimizerBuilder::new(rule, 1e-3, 0.01)
    }
}

impl AdEmaMixBuilder {
    /// The decay rates of the fast average, the second moment and the slow average; 0.9, 0.999 and
    /// 0.9999 by default.
    pub fn betas(mut self, beta1: f64, beta2: f64, beta3: f64) -> Self {
        self.rule.betas = [beta1, beta2, beta3];
        self
    }

    /// The weight `a` of the slow average, 5 by default.
    pub fn mix(mut self, mix: f64) -> Self {
        self.rule.mix = mix;
        self
    }

    /// The steps over which `a` and b3 grow; 0 by default. The authors advise all steps of a run.
    pub fn warmup(mut self, steps: u64) -> Self {
        self.rule.warmup = steps;
        self
    }

    /// What is added to the root of the second moment, 1e-8 by default.
    pub fn eps(mut self, eps: f64) -> Self {
        self.rule.eps = eps;
        self
    }
}

impl AdEmaMixRule {
    /// `a` and b3 at a step.
    fn slow(&self, step: u64) -> (f64, f64) {
        let [beta1, _, beta3] = self.betas;
        if step >= self.warmup {
            return (self.mix, beta3);
        }
        let part = step as f64 / self.warmup as f64;
        let half_life = |beta: f64| 0.5f64.ln() / (beta + 1e-8).ln() - 1.0;
        let f = (1.0 - part) * half_life(beta1) + part * half_life(beta3);
        (self.mix * part, 0.5f64.powf(1.0 / (f + 1.0)))
    }
}

impl Rule for AdEmaMixRule {
    fn name(&self) -> &'static str {
        "ademamix"
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m", "root", "n"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name(), &self.betas)?;
        check_eps(self.name(), self.eps)?;
        not_negative(self.name(), "mix", self.mix).map(drop)
    }

    fn form(&self) -> Form {
        form([self.betas[0], self.betas[1]])
    }

    fn numbers(&self, step: u64, rate: f64) -> Inputs {
        let (mix, beta3) = self.slow(step);
        let betas = [self.betas[0], self.betas[1]];
        Inputs { betas, mix, beta3, eps: self.eps, ..Inputs::new(step, rate) }
    }
}
