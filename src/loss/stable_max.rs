//! StableMax cross-entropy.

use super::cross_entropy::{CrossEntropy, entropy_of};
use super::scores::Scores;
use crate::{Result, Tensor, Var};

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
