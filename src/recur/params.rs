//! What the launches of a recurrence are told: parameters, and the numbers that stand for options.

use crate::kernel::CostArgs;
pub(super) use crate::lif::params::{EACH, FIXED, SCALAR};

/// The most parameters of a cell.
pub(super) const MOST: usize = 8;

/// Steps between the states that are saved.
pub(super) const EVERY: usize = 8;

crate::params! {
    /// `RecurParams` of `recur/launch.wgsl`.
    pub(crate) struct RecurParams {
        columns: u32,
        neurons: u32,
        /// The steps of the launch.
        first: u32,
        end: u32,
        /// What it goes on from: 1 states or their gradients, 2 sums too.
        resume: u32,
        alpha: f32,
        /// What the CPU emits instead of spikes: 1 and the code of a surrogate.
        relaxed: u32,
        values: [f32; 8],
    }
}

// What forward writes besides states (`recur/forward.wgsl`).
pub(crate) const SPIKES: u32 = 1;
pub(super) const WORDS: u32 = 2;
pub(super) const TRACE: u32 = 4;
pub(super) const SAVE: u32 = 8;

/// The form of parameter `k`.
pub(super) fn form(forms: u32, k: usize) -> u32 {
    forms >> (2 * k) & 3
}

/// Turns of a step, and of all that surrounds the steps.
const TURNS: u64 = 4;
const AROUND: u64 = 64;

/// The turns of a launch: what goes ahead eight steps, and the steps.
pub(crate) fn turns(args: &CostArgs<'_>) -> u64 {
    let p: RecurParams = args.params();
    TURNS * u64::from(p.end - p.first) + AROUND
}

/// The most steps of a launch whose loops may have so many turns.
pub(super) fn most_steps(turns: u64) -> usize {
    (turns.saturating_sub(AROUND) / TURNS) as usize
}
