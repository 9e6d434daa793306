//! Attention on spikes.
//!
//! | | what it computes |
//! |---|---|
//! | [`SpikeProduct`] | `scale Q K^T V` of packed spikes, without a softmax |

mod spike_product;

pub use spike_product::{Form, SpikeProduct};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &spike_product::rows::SPIKE_ROWS,
    &spike_product::outer::SPIKE_OUTER,
    &spike_product::overlap::SPIKE_OVERLAP,
];
