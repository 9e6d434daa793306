//! What the launches of a recurrence are told: parameters, and the numbers that stand for options.

use crate::kernel::CostArgs;
pub(super) use crate::lif::params::{EACH, FIXED, SCALAR};

/// The most parameters and spikes of a neuron.
pub(super) const MOST: usize = 16;

/// Steps between the states that are saved.
pub(super) const EVERY: usize = 8;

crate::params! {
    /// `RecurParams` of `recur/launch.wgsl`.
    pub(crate) struct RecurParams {
        columns: u32,
        neurons: u32,
        /// All steps.
        steps: u32,
        /// Those of the launch.
        first: u32,
        end: u32,
        /// What it goes on from: 1 states or their gradients, 2 sums too.
        resume: u32,
        /// The number of the equations: the CPU finds them by it.
        definition: u32,
        /// Whether the CPU emits the integrals of surrogates instead of spikes.
        relaxed: u32,
        values: [f32; 16],
    }
}

// What forward writes besides states (`recur/forward.wgsl`).
pub(super) const DENSE: u32 = 1;
pub(super) const WORDS: u32 = 2;
pub(super) const SAVE: u32 = 8;

// What backward gets (`recur/backward.wgsl`).
pub(super) const OF_SPIKES: u32 = 1;
pub(super) const OF_DENSE: u32 = 2;

/// The form of parameter `k`.
pub(super) fn form(forms: u32, k: usize) -> u32 {
    forms >> (2 * k) & 3
}

/// Iterations of a step, and of all that surrounds the steps.
pub(super) const A_STEP: u64 = 8;
pub(super) const AROUND: u64 = 96;

/// The iterations of a launch: what goes ahead eight steps, and the steps.
pub(super) fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: RecurParams = args.params();
    A_STEP * u64::from(p.end - p.first) + AROUND
}
