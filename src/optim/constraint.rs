//! What a parameter is held to after every step.

use crate::elementwise::{BOX, COMPAND, UpdateConstants};
use crate::error::{Error, Result};
use crate::narrow::positive;

/// What a parameter is held to after every step, in the same launch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Constraint {
    /// Nothing.
    #[default]
    Free,
    /// `x = max(x, 0)`
    NonNegative,
    /// `x` limited to `low ..= high`
    Box {
        /// The least value.
        low: f32,
        /// The greatest value.
        high: f32,
    },
    /// `x = a atan(x / b)`: nearly the identity for small x where `a = b`, and never beyond
    /// `a pi / 2`.
    Compand {
        /// The outer scale.
        a: f32,
        /// The inner scale.
        b: f32,
    },
}

impl Constraint {
    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        let sound = match *self {
            Constraint::Free | Constraint::NonNegative => true,
            Constraint::Box { low, high } => low <= high,
            Constraint::Compand { a, b } => {
                return positive(op, "outer scale", a)
                    .and_then(|_| positive(op, "inner scale", b))
                    .map(drop);
            }
        };
        if sound {
            return Ok(());
        }
        let detail = format!("{self:?}: a box needs low <= high");
        Err(Error::argument(op, detail))
    }

    /// Constants that are held to it.
    pub(super) fn hold(&self, constants: UpdateConstants) -> UpdateConstants {
        let finite = |v: f32| v.clamp(f32::MIN, f32::MAX);
        let (mode, low, high) = match *self {
            Constraint::Free => (0, 0.0, 0.0),
            Constraint::NonNegative => (BOX, 0.0, f32::MAX),
            Constraint::Box { low, high } => (BOX, finite(low), finite(high)),
            Constraint::Compand { a, b } => (COMPAND, a, b),
        };
        UpdateConstants { mode, low, high, ..constants }
    }
}
