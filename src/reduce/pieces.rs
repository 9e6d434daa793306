//! Sums over the rows of a matrix, in two stages: pieces of rows, then their total.

use super::axes::Pass;
use super::fold::{Fold, Op, fold};
use crate::{Device, Result, Tensor};

/// Rows in pieces of `chunk`, for kernels with one invocation a piece and column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    pub(crate) splits: usize,
    pub(crate) chunk: usize,
}

impl Pieces {
    /// As many pieces of `rows > 0` rows of `columns` elements as keep the device busy, none so
    /// short that the second stage would cost more than it saves.
    pub(crate) fn of(device: &Device, rows: usize, columns: usize) -> Self {
        const SHORTEST: usize = 32;
        let invocations = if device.capabilities().software { 1 << 12 } else { 1 << 16 };
        let chunk = (rows * columns).div_ceil(invocations).clamp(SHORTEST, rows.max(SHORTEST));
        Self { splits: rows.div_ceil(chunk), chunk }
    }

    /// The sum of parts `[splits, columns]`: `[columns]`.
    pub(crate) fn total(&self, parts: &Tensor) -> Result<Tensor> {
        let columns = parts.count() / self.splits;
        if self.splits == 1 {
            return parts.reshape([columns]);
        }
        let pass = Pass { outer: 1, length: self.splits, inner: columns };
        fold(parts, pass, Fold::of(Op::Sum))?.reshape([columns])
    }
}
