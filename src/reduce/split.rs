//! Work that is split: how many parts of which length. Sums over rows take two stages: the parts, then
//! their total.

use super::axes::Pass;
use super::fold::{Fold, Op, fold};
use crate::{Device, Result, Tensor};

/// Rows in parts of `chunk` each, but for the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    pub(crate) parts: usize,
    pub(crate) chunk: usize,
}

/// Rows that one invocation may take: llvmpipe leaves a shader, without a word, after 65,535 iterations
/// of its loops.
pub(crate) const LONGEST: usize = 1 << 15;

impl Split {
    /// As many parts of `rows > 0` rows of `columns` elements as keep the device busy, an invocation a
    /// part and column; none so short that the second stage would cost more than it saves.
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

    /// The iterations of a loop over a part of `chunk` rows, in chains of 32 or without.
    pub(crate) fn iterations(chunk: u32) -> u64 {
        let rows = u64::from(chunk);
        rows + 2 * rows.div_ceil(32) + 2
    }

    /// Parts of `rows > 0` rows, each a multiple of `unit` rows but for the last, few enough that one more
    /// launch adds them up; none so long that its loops, of so many `iterations` for each `unit` rows, are longer
    /// than the device runs them, but of one unit at least.
    pub(crate) fn in_units(device: &Device, rows: usize, unit: usize, iterations: u64) -> Self {
        let most = device.tuning().loss_parts;
        let allowed = device.capabilities().max_iterations;
        let units = allowed.map_or(u64::MAX, |allowed| allowed / (iterations + 1));
        let units = usize::try_from(units).unwrap_or(usize::MAX).max(1);
        let chunk = rows.div_ceil(most).next_multiple_of(unit).min(unit.saturating_mul(units));
        Self::at_most(rows, chunk)
    }

    fn at_most(rows: usize, chunk: usize) -> Self {
        Self { parts: rows.div_ceil(chunk), chunk }
    }

    /// The sum of parts `[parts, columns]`: `[columns]`.
    pub(crate) fn total(&self, parts: &Tensor) -> Result<Tensor> {
        let columns = parts.count() / self.parts;
        if self.parts == 1 {
            return parts.reshape([columns]);
        }
        let pass = Pass { outer: 1, length: self.parts, inner: columns };
        fold(parts, pass, Fold::of(Op::Sum))?.reshape([columns])
    }
}
