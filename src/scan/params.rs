//! What the launches of a scan are told.

use crate::kernel::CostArgs;
use std::ops::Range;

crate::params! {
    /// `Share` of `scan/walk.wgsl`: the steps that a launch covers.
    pub(crate) struct Share {
        columns: u32,
        steps: u32,
        start: u32,
        chunk: u32,
        chunks: u32,
        span: u32,
        channels: u32,
        group: u32,
    }
}

crate::params! {
    /// `DecayParams` of `scan/decay.wgsl`.
    pub(crate) struct DecayParams {
        share: Share,
        decay: f32,
    }
}

// Where `lam` comes from (`scan/decay.wgsl`).
pub(crate) const FIXED: u32 = 0;
pub(crate) const VALUE: u32 = 1;
pub(crate) const LOGIT: u32 = 2;

impl Share {
    /// The iterations of the loops of a launch whose walks take `eight` for eight steps at a time and at the
    /// most `rest` for those that are left.
    pub(super) fn iterations(&self, args: &CostArgs<'_>, eight: u64, rest: u64) -> u64 {
        let stride = args.constant("STRIDE");
        let [chunk, span] = [self.chunk.min(self.steps), self.span].map(u64::from);
        let rounds = chunk.div_ceil(stride);
        // Beginning and end of the walks; rounds of all walks, with two loops over their steps each.
        let around = 3 * (span + 2) + rounds * (3 + 5 * span);
        around + span * (chunk.div_ceil(8) * eight + rest)
    }

    /// The part of all steps that the launch covers.
    pub(super) fn fraction(&self) -> f64 {
        let end = self.steps.min(self.start.saturating_add(self.chunk.saturating_mul(self.chunks)));
        f64::from(end - self.start) / f64::from(self.steps.max(1))
    }

    /// The walks: chunk, column, and steps of each.
    pub(super) fn walks(&self) -> impl Iterator<Item = (usize, usize, Range<usize>)> + use<> {
        let [columns, steps, start] = [self.columns, self.steps, self.start].map(|v| v as usize);
        let [chunk, chunks] = [self.chunk, self.chunks].map(|v| v as usize);
        (0..chunks * columns).map(move |walk| {
            let first = start + walk / columns * chunk;
            (walk / columns, walk % columns, first..(first + chunk).min(steps))
        })
    }

    /// Whether a walk up to step `end` leaves the state after the last one of the launch.
    pub(super) fn is_last(&self, end: usize) -> bool {
        end == self.steps as usize || self.chunks == 1
    }
}

/// Whether a launch writes its outputs, and is no search for the states between chunks, which is no
/// part of an ideal implementation.
pub(super) fn emits(args: &CostArgs<'_>) -> bool {
    args.constant("EMIT") != 0
}
