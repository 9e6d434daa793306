//! Neurons of other equations than the leaky integrate-and-fire scan ([`lif`](crate::lif)): each is a step
//! and its adjoint, run over all steps by one driver.

mod current;
mod synaptic;

pub use crate::recur::Reset;
pub use synaptic::{Synaptic, SynapticOutput, SynapticParameters};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[current::SYNAPTIC.forward, current::SYNAPTIC.backward];
