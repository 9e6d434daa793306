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

/// Rows that one invocation may take: llvmpipe leaves a shader, without a word, after 65,535 iterations
/// of its loops.
pub(crate) const LONGEST: usize = 1 << 15;

impl Pieces {
    /// As many pieces of `rows > 0` rows of `columns` elements as keep the device busy, none so
    /// short that the second stage would cost more than it saves.
    pub(crate) fn of(device: &Device, rows: usize, columns: usize) -> Self {
        const SHORTEST: usize = 32;
        let chunk = (rows * columns)
            .div_ceil(device.tuning().invocations)
            .clamp(SHORTEST, rows.max(SHORTEST));
        Self::at_most(rows, chunk.min(LONGEST))
    }

    /// Likewise, where a row takes `steps` iterations.
    pub(crate) fn of_steps(device: &Device, rows: usize, columns: usize, steps: usize) -> Self {
        let most = (LONGEST / steps.max(1)).max(1);
        Self::at_most(rows, Self::of(device, rows, columns).chunk.min(most))
    }

    /// The turns of a loop over a piece of `chunk` rows, in chains of 32 or without.
    pub(crate) fn turns(chunk: u32) -> u64 {
        let rows = u64::from(chunk);
        rows + 2 * rows.div_ceil(32) + 2
    }

    fn at_most(rows: usize, chunk: usize) -> Self {
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
