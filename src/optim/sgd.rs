//! Stochastic gradient descent.

use super::rule::{Rule, check_betas};
use super::update::{Form, NESTEROV};
use super::{Descent, OptimizerBuilder};
use crate::error::Result;

/// Gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013):
///
/// ```text
/// v = momentum v + g
/// x = (1 - lr decay) x - lr v                     or, with Nesterov's,  - lr (g + momentum v)
/// ```
///
/// `g` is the gradient after clipping. Without momentum nothing is kept. See
/// [`Optimizer`](super::Optimizer) for how to use it.
pub type Sgd = Descent<SgdRule>;

/// The options of [`Sgd`].
pub type SgdBuilder = OptimizerBuilder<SgdRule>;

/// The rule of [`Sgd`].
#[derive(Debug, Clone)]
pub struct SgdRule {
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Options: learning rate 0.01, momentum 0.9, no decay, no clipping.
    pub fn builder() -> SgdBuilder {
        OptimizerBuilder::new(SgdRule { momentum: 0.9, nesterov: false }, 0.01, 0.0)
    }
}

impl SgdBuilder {
    /// The momentum, 0.9 by default.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }

    /// Nesterov's momentum, off by default.
    pub fn nesterov(mut self, on: bool) -> Self {
        self.rule.nesterov = on;
        self
    }
}

impl Rule for SgdRule {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["v"] }
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name(), &[self.momentum])
    }

    fn form(&self) -> Form {
        let mode = if self.nesterov { NESTEROV } else { 0 };
        Form { mode, betas: [self.momentum, 0.0], rests: [1.0, 0.0], mask: None }
    }
}
