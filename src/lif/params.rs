//! What the launches of a LIF layer are told: parameters, and the numbers that stand for options.

crate::params! {
    /// `LifParams` of `lif/membrane.wgsl`.
    pub(crate) struct LifParams {
        columns: u32,
        steps: u32,
        neurons: u32,
        decay: f32,
        threshold: f32,
        gain: f32,
        v_reset: f32,
        low: f32,
        high: f32,
        alpha: f32,
        /// What the CPU emits instead of spikes: 1 and the code of a surrogate.
        relaxed: u32,
    }
}

// What a spike does to the membrane (`lif/membrane.wgsl`).
pub(crate) const NONE: u32 = 0;
pub(crate) const SOFT: u32 = 1;
pub(crate) const HARD: u32 = 2;

// Where a neuron's parameter comes from (`shared/forms.wgsl`), and the gain (`lif/membrane.wgsl`).
pub(crate) const FIXED: u32 = 0;
pub(crate) const SCALAR: u32 = 1;
pub(crate) const EACH: u32 = 2;
pub(crate) const TIED: u32 = 3;

// Through what the gradient flows (`lif/lif_backward.wgsl`).
pub(crate) const FULL: u32 = 0;
pub(crate) const DETACHED: u32 = 1;
pub(crate) const SPATIAL: u32 = 2;
