//! Attention on spikes.
//!
//! | | what it computes |
//! |---|---|
//! | [`SpikeAttention`] | spike-gated sparse attention: work in proportion to the pairs of open positions |
//! | [`AttentionCache`] | what its one-token decode remembers |
//! | [`SpikeProduct`] | `scale Q K^T V` of packed spikes, without a softmax |
//!
//! Which positions are open is known on the device only: `spike_gate` finds it, `gate_order` counts and
//! lists the open positions, and everything after works on compact rows by that list. Nothing is read
//! back, and what a launch has invocations for beyond the count returns at once.

mod cache;
pub(crate) mod cache_oracle;
pub(crate) mod cache_params;
mod compact;
mod decode;
mod delta;
mod forward;
mod gate;
mod gated;
mod gather;
pub(crate) mod geometry;
mod key_gradient;
mod order;
pub(crate) mod orders;
mod query_gradient;
mod rotary;
mod scatter;
mod spike_product;

pub use cache::AttentionCache;
pub use gated::{Gate, SpikeAttention};
pub(crate) use spike_product::HeadParams;
pub use spike_product::{Form, SpikeProduct};

use crate::kernel::Kernel;

/// The operator's name in errors.
const OP: &str = "spike_attention";

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &cache::CACHE_EXTEND,
    &decode::DECODE_ATTEND,
    &delta::ATTENTION_DELTA,
    &forward::ATTENTION_FORWARD,
    &gate::SPIKE_GATE,
    &gather::ATTENTION_GATHER,
    &key_gradient::ATTENTION_KEY_GRADIENT,
    &order::GATE_ORDER,
    &query_gradient::ATTENTION_QUERY_GRADIENT,
    &scatter::ATTENTION_SCATTER,
    &spike_product::outer::SPIKE_OUTER,
    &spike_product::overlap::SPIKE_OVERLAP,
    &spike_product::rows::SPIKE_ROWS,
];
