//! Signum.

use super::rule::{Rule, check_betas};
use super::update::{Form, NESTEROV, SIGN};
use super::{Descent, OptimizerBuilder};
use crate::error::Result;

/// Signum (Bernstein et al. 2018), the sign of the momentum:
///
/// ```text
/// m = momentum m + g
/// x = (1 - lr decay) x - lr sign(m)        or, with Nesterov's,  - lr sign(g + momentum m)
/// ```
///
/// with `sign(0) = 0`. `g` is the gradient after clipping.
pub type Signum = Descent<SignumRule>;

/// The options of [`Signum`].
pub type SignumBuilder = OptimizerBuilder<SignumRule>;

/// The rule of [`Signum`].
#[derive(Debug, Clone)]
pub struct SignumRule {
    momentum: f64,
    nesterov: bool,
    compat: bool,
}

impl Signum {
    /// Options: learning rate 2e-4, momentum 0.95 in Nesterov's form, decay 0.1 on parameters with
    /// two axes and more, no clipping.
    pub fn builder() -> SignumBuilder {
        OptimizerBuilder::new(
            SignumRule { momentum: 0.95, nesterov: true, compat: false },
            2e-4,
            0.1,
        )
    }
}

impl SignumBuilder {
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

    /// Starts the momentum at the parameter instead of zero, as the code published with SPECTRA
    /// does. Off by default.
    pub fn compat(mut self, on: bool) -> Self {
        self.rule.compat = on;
        self
    }
}

impl Rule for SignumRule {
    fn name(&self) -> &'static str {
        "signum"
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name(), &[self.momentum])
    }

    fn form(&self) -> Form {
        let mode = SIGN | if self.nesterov { NESTEROV } else { 0 };
        Form { mode, betas: [self.momentum, 0.0], rests: [1.0, 0.0], mask: None }
    }

    fn starts_at_parameter(&self) -> bool {
        self.compat
    }
}
