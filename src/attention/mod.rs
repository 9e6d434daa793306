//! Attention on spikes.
//!
//! | | what it computes |
//! |---|---|
//! | [`SpikeAttention`] | spike-gated sparse attention: work in proportion to the pairs of positions that spike |
//! | [`SpikeProduct`] | `scale Q K^T V` of packed spikes, without a softmax |

mod gated;
mod spike_product;

pub use gated::{Gate, SpikeAttention};
pub use spike_product::{Form, SpikeProduct};

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "spike_attention";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &spike_product::outer::SPIKE_OUTER,
    &spike_product::overlap::SPIKE_OVERLAP,
    &spike_product::rows::SPIKE_ROWS,
];
