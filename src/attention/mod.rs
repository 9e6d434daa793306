//! Attention on spikes.
//!
//! | | what it computes |
//! |---|---|
//! | [`SpikeAttention`] | spike-gated sparse attention: work in proportion to the pairs of positions that spike |
//! | [`SpikeProduct`] | `scale Q K^T V` of packed spikes, without a softmax |
//! | [`AttentionCache`] | what one-token decode remembers |

mod cache;
mod decode;
mod gated;
mod spike_product;
mod twin;

pub use cache::AttentionCache;
pub use gated::{Gate, SpikeAttention};
pub use spike_product::{Form, SpikeProduct};

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "spike_attention";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &spike_product::outer::SPIKE_OUTER,
    &spike_product::overlap::SPIKE_OVERLAP,
    &cache::CACHE_EXTEND,
    &decode::DECODE_ATTEND,
    &spike_product::rows::SPIKE_ROWS,
];
