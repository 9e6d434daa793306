//! Scores: what a cross-entropy takes the softmax of.

use crate::host::Real;

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
