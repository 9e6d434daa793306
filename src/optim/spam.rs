//! SPAM.

use super::adamw::{GRACE, form};
use super::numbers::Inputs;
use super::rule::{Rule, check_betas, check_eps};
use super::update::{Form, threshold};
use super::{Descent, OptimizerBuilder};
use crate::error::{Error, Result};
use crate::narrow::positive;
use crate::random::threefry;

/// SPAM (Huang et al. 2025), Adam that limits spikes of single gradients and forgets its moments
/// now and then:
///
/// ```text
/// every D steps:    m = v = 0, and the steps are warmed up anew
/// g = sign(g) min(|g|, sqrt(theta v))           v of the step before; once v has settled
/// m, v, update as Adam's, times 1 - 0.99 (1 + cos(pi k / (N + 1))) / 2
/// ```
///
/// `k` counts the steps since the last reset; the factor is 1 from `k = N` on, and until the first
/// reset. Spikes are limited from step 20 on, except in the first 20 steps of every interval.
///
/// With [`density`](OptimizerBuilder::density) only a random part of the elements takes part in an interval,
/// drawn anew at every reset; the others rest, their moments 0.
pub type Spam = Descent<SpamRule>;

/// The options of [`Spam`].
pub type SpamBuilder = OptimizerBuilder<SpamRule>;

/// The rule of [`Spam`].
#[derive(Debug, Clone)]
pub struct SpamRule {
    betas: [f64; 2],
    eps: f64,
    theta: f64,
    interval: u64,
    warmup: u64,
    grace: u64,
    density: f64,
    seed: u64,
    compat: bool,
}

impl Spam {
    /// Options: learning rate 1e-3, betas 0.9 and 0.999, eps 1e-6, theta 5000, a reset every 500
    /// steps, 150 steps of warm-up, density 1, no decay, no clipping.
    pub fn builder() -> SpamBuilder {
        let rule = SpamRule {
            betas: [0.9, 0.999],
            eps: 1e-6,
            theta: 5000.0,
            interval: 500,
            warmup: 150,
            grace: GRACE,
            density: 1.0,
            seed: 0,
            compat: false,
        };
        OptimizerBuilder::new(rule, 1e-3, 0.0)
    }
}

impl SpamBuilder {
    /// The decay rates of both moments, 0.9 and 0.999 by default.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.rule.betas = [beta1, beta2];
        self
    }

    /// What is added to the root of the second moment, 1e-6 by default.
    pub fn eps(mut self, eps: f64) -> Self {
        self.rule.eps = eps;
        self
    }

    /// How many second moments a gradient's square may be, 5000 by default.
    pub fn theta(mut self, theta: f64) -> Self {
        self.rule.theta = theta;
        self
    }

    /// The steps from one reset to the next, 500 by default.
    pub fn interval(mut self, steps: u64) -> Self {
        self.rule.interval = steps;
        self
    }

    /// The steps of warm-up after a reset, 150 by default.
    pub fn warmup(mut self, steps: u64) -> Self {
        self.rule.warmup = steps;
        self
    }

    /// The steps before spikes are limited, at the start and of every interval; 20 by default.
    pub fn grace(mut self, steps: u64) -> Self {
        self.rule.grace = steps;
        self
    }

    /// The part of the elements that takes part in an interval, 1 by default. The choice follows
    /// from `seed`.
    pub fn density(mut self, density: f64, seed: u64) -> Self {
        (self.rule.density, self.rule.seed) = (density, seed);
        self
    }

    /// As the published code does it: bias corrections go on counting at a reset, so that the first
    /// step after one is about three times Adam's, and `eps` is corrected along with v. Off by
    /// default.
    pub fn compat(mut self, on: bool) -> Self {
        self.rule.compat = on;
        self
    }
}

impl SpamRule {
    /// What a step is multiplied with, `since` steps after a reset.
    fn warm(&self, since: u64) -> f64 {
        if since >= self.warmup {
            return 1.0;
        }
        let part = since as f64 / (self.warmup as f64 + 1.0);
        1.0 - 0.99 * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0
    }
}

impl Rule for SpamRule {
    fn name(&self) -> &'static str {
        "spam"
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m", "root"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name(), &self.betas)?;
        check_eps(self.name(), self.eps)?;
        positive(self.name(), "theta", self.theta)?;
        if self.interval == 0 {
            return Err(Error::argument(self.name(), "a reset every 0 steps"));
        }
        if threshold(self.density) > 0 && self.density <= 1.0 {
            return Ok(());
        }
        let detail = format!("density {}, allowed are 2.4e-10 to 1", self.density);
        Err(Error::argument(self.name(), detail))
    }

    fn form(&self) -> Form {
        let key = threefry([self.seed as u32, (self.seed >> 32) as u32], [0, 0]);
        let mask = (self.density < 1.0).then_some((self.density, key));
        Form { mask, ..form(self.betas) }
    }

    fn numbers(&self, step: u64, rate: f64) -> Inputs {
        let (round, since) = (step / self.interval, step % self.interval);
        // Before the first reset second moments are all zero at the first step.
        let settled = step > 1 && step >= self.grace && since >= self.grace && since > 0;
        let age = if self.compat || round == 0 { step } else { since + 1 };
        Inputs {
            betas: self.betas,
            eps: self.eps,
            factor: if round == 0 { 1.0 } else { self.warm(since) },
            spikes: if settled { self.theta } else { 0.0 },
            draw: round,
            age,
            restart: since == 0,
            eps_inside: self.compat,
            ..Inputs::new(step, rate)
        }
    }

    fn restarts(&self) -> bool {
        true
    }
}
