//! Dion.

use super::low_rank::LowRankOptions;
use super::rule::{Rule, check_betas};
use super::shaping::Gain;
use super::update::Form;
use super::{Descent, OptimizerBuilder};
use crate::error::{Error, Result};

/// Dion (Ahn et al. 2025), a momentum made orthogonal in a subspace that follows it:
///
/// ```text
/// M = M + g        P = qr(M Q)        R = M^T P        M = M - (1 - mu) P R^T
/// Q = R_j / (|R_j| + 1e-8)            x = (1 - lr decay) x - lr sqrt(outputs / inputs) P Q^T
/// ```
///
/// The parts of M outside of the subspace are kept in full, so that they come up later. P comes from
/// two Cholesky factorisations of small Gram matrices, in one workgroup each. Of tensors with more
/// than two axes all but that of the [outputs](crate::Orientation) are one; vectors become unit vectors,
/// with gain 1.
pub type Dion = Descent<DionRule>;

/// The options of [`Dion`].
pub type DionBuilder = OptimizerBuilder<DionRule>;

/// The rule of [`Dion`].
#[derive(Debug, Clone)]
pub struct DionRule {
    fraction: f64,
    keep: f64,
}

impl Dion {
    /// Options: learning rate 0.01, rank a quarter of the smaller extent, mu 0.95, no decay, no
    /// clipping.
    pub fn builder() -> DionBuilder {
        let mut builder = OptimizerBuilder::new(DionRule { fraction: 0.25, keep: 0.95 }, 0.01, 0.0);
        builder.settings.shapes.gain = Gain::Ratio;
        builder.settings.shapes.low_rank =
            Some(LowRankOptions { fraction: 0.25, keep: 0.95, seed: 0 });
        builder
    }
}

impl DionBuilder {
    /// The rank, as a part of the smaller extent of a matrix; 0.25 by default.
    pub fn rank(mut self, fraction: f64) -> Self {
        self.rule.fraction = fraction;
        self.options(|options| options.fraction = fraction);
        self
    }

    /// What the momentum keeps of the part that a step follows, 0.95 by default.
    pub fn momentum(mut self, mu: f64) -> Self {
        self.rule.keep = mu;
        self.options(|options| options.keep = mu);
        self
    }

    /// What the first subspaces are drawn from, 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options(|options| options.seed = seed);
        self
    }

    fn options(&mut self, change: impl FnOnce(&mut LowRankOptions)) {
        if let Some(options) = &mut self.settings.shapes.low_rank {
            change(options);
        }
    }
}

impl Rule for DionRule {
    fn name(&self) -> &'static str {
        "dion"
    }

    fn moments(&self) -> &'static [&'static str] {
        &["m"]
    }

    fn check(&self) -> Result<()> {
        check_betas(self.name(), &[self.keep])?;
        if self.fraction > 0.0 && self.fraction <= 1.0 {
            return Ok(());
        }
        let detail = format!("rank {} of the extent, allowed are 0 (excluded) to 1", self.fraction);
        Err(Error::argument(self.name(), detail))
    }

    fn form(&self) -> Form {
        Form { betas: [1.0, 0.0], rests: [1.0, 0.0], ..Form::default() }
    }
}
