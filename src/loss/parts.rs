//! Sums over many rows, in two launches: first parts, then their total.

use crate::reduce::{Fold, Op, Pass, fold};
use crate::{Device, Result, Tensor};

/// Rows in parts of `span`, few enough that one more launch adds them up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) span: usize,
    pub(super) count: usize,
}

impl Parts {
    /// Parts of `rows > 0` rows, each a multiple of `unit` rows but for the last; none so long that
    /// its loops, of `turns` turns for each `unit` rows, are longer than the device runs them, but of
    /// one unit at least.
    pub(super) fn of(device: &Device, rows: usize, unit: usize, turns: u64) -> Self {
        let capabilities = device.capabilities();
        let most = device.tuning().loss_parts;
        let units = capabilities.max_turns.map_or(u64::MAX, |allowed| allowed / (turns + 1));
        let units = usize::try_from(units).unwrap_or(usize::MAX).max(1);
        let span = rows.div_ceil(most).next_multiple_of(unit).min(unit.saturating_mul(units));
        Self { span, count: rows.div_ceil(span) }
    }
}

/// `sum(parts) / divisor`, a scalar.
pub(super) fn total(parts: &Tensor, divisor: f32) -> Result<Tensor> {
    let pass = Pass { outer: 1, length: parts.count(), inner: 1 };
    fold(parts, pass, Fold { divisor, ..Fold::of(Op::Sum) })?.reshape([])
}
