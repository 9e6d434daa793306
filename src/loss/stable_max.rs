//! StableMax cross-entropy.

use super::cross_entropy::{CrossEntropy, entropy_of};
use crate::host::Real;
use crate::{Result, Tensor, Var};

/// What a cross-entropy is taken of, as a function of the logits over a temperature; the numbers are
/// those of `loss/scores.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scores {
    /// The logits themselves.
    Softmax = 0,
    /// `ln s(x)` of StableMax.
    StableMax = 1,
}

impl Scores {
    pub(super) fn from_code(code: u32) -> Self {
        if code == 1 { Scores::StableMax } else { Scores::Softmax }
    }

    /// The score of a logit that was divided by the temperature.
    pub(super) fn of<R: Real>(self, z: R) -> R {
        match self {
            Scores::Softmax => z,
            Scores::StableMax => z.abs().ln_1p().copysign(z),
        }
    }

    /// Its derivative.
    pub(super) fn slope<R: Real>(self, z: R) -> R {
        match self {
            Scores::Softmax => R::one(),
            Scores::StableMax => (R::one() + z.abs()).recip(),
        }
    }
}

/// The cross-entropy with StableMax instead of softmax (Prieto et al. 2025, "Grokking at the edge of
/// numerical stability"): `loss = -ln (s(x_t) / sum_c s(x_c))`,
///
/// ```text
/// s(x) = 1 + x  for x >= 0,  1 / (1 - x)  below
/// ```
///
/// which grows so slowly that the probabilities of other classes do not vanish next to that of the
/// target, and the loss does not become exactly 0. Since `ln s(x) = sign(x) ln(1 + |x|)`, it is
/// [`cross_entropy`](super::cross_entropy) of these, in the same launches.
///
/// # Errors
/// Those of [`cross_entropy`](super::cross_entropy).
pub fn stable_max(logits: &Var, targets: &Tensor, options: CrossEntropy) -> Result<Var> {
    entropy_of("stable_max", Scores::StableMax, logits, targets, options)
}
