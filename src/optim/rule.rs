//! What a rule is: constants of the update kernel, and numbers that change from step to step.

use super::numbers::Inputs;
use super::update::Form;
use crate::error::{Error, Result};
use crate::narrow::{below_one, positive};
use std::fmt::Debug;

/// A rule that turns gradients into directions. Sealed: the rules of this crate are forms of one
/// kernel.
pub trait Rule: Debug + Send + Sync + 'static {
    /// What errors and saved tensors call it.
    #[doc(hidden)]
    fn name(&self) -> &'static str;

    /// The tensors that it keeps for each parameter, in the order of the kernel's bindings.
    #[doc(hidden)]
    fn moments(&self) -> &'static [&'static str];

    /// Refuses numbers outside of their domains.
    #[doc(hidden)]
    fn check(&self) -> Result<()>;

    /// Its constants.
    #[doc(hidden)]
    fn form(&self) -> Form;

    /// Its numbers at step `step`, the first of which is 1.
    #[doc(hidden)]
    fn numbers(&self, step: u64, rate: f64) -> Inputs {
        Inputs::new(step, rate)
    }

    /// Whether its steps restart, so that the device must remember when.
    #[doc(hidden)]
    fn restarts(&self) -> bool {
        false
    }

    /// Whether the first moment starts as the parameter instead of zero.
    #[doc(hidden)]
    fn starts_at_parameter(&self) -> bool {
        false
    }
}

/// Refuses decay rates outside of [0, 1), as f32 tells them from 1.
pub(super) fn check_betas(op: &'static str, betas: &[f64]) -> Result<()> {
    betas.iter().try_for_each(|beta| below_one(op, "decay rate", *beta).map(drop))
}

/// Refuses an eps that is zero in f32 arithmetic, where 0 / 0 would follow.
pub(super) fn check_eps(op: &'static str, eps: f64) -> Result<()> {
    if positive(op, "eps", eps)? >= 1e-30 {
        return Ok(());
    }
    Err(Error::argument(op, format!("eps {eps}, allowed are 1e-30 and more")))
}
