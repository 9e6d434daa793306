//! What the oracles of the products within heads read, and what they write.

use super::lanes::HeadParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use std::ops::Range;

/// An operand: numbers, or packed spikes.
pub(super) struct Operand<'a, R> {
    pub(super) reals: &'a [R],
    words: &'a [u32],
}

impl<'a, R: Real> Operand<'a, R> {
    pub(super) fn new(args: &HostArgs<'a, R>, name: &str) -> Self {
        match args.is_real(name) {
            true => Self { reals: args.reals(name), words: &[] },
            false => Self { reals: &[], words: args.words(name) },
        }
    }

    /// Whether element `i` of token t spikes, 1 or 0; a token has `width` elements.
    pub(super) fn spike(&self, t: usize, i: usize, width: usize) -> R {
        R::lit(f64::from(self.words[t / 32 * width + i] >> (t % 32) & 1))
    }
}

/// Calls `sum(tokens of the chunk, lane, row, zeros)` for every row of C `[chunks, L, k, n]`.
pub(super) fn each_row<R: Real>(
    p: &HeadParams,
    c: &mut [R],
    sum: impl Fn(Range<usize>, usize, usize, &mut [R]) + Sync,
) {
    let [steps, lanes, k, n, chunk] = [p.steps, p.lanes, p.k, p.n, p.chunk].map(|v| v as usize);
    let covered = p.lane_first as usize..(p.lane_first + p.lane_count) as usize;
    c.par_chunks_mut(n).enumerate().for_each(|(place, row)| {
        let (part, lane, i) = (place / k / lanes, place / k % lanes, place % k);
        if covered.contains(&lane) {
            row.fill(R::zero());
            sum(part * chunk..steps.min((part + 1) * chunk), lane, i, row);
        }
    });
}
