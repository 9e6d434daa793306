//! Spike-gated sparse attention: work in proportion to the pairs of positions that spike.

mod gated;

pub use gated::{Gate, SpikeAttention};

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "spike_attention";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[];
