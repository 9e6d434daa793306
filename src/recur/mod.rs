//! One driver for recurrences over time: what differs is a [`Cell`], an equation from step to step.
//!
//! The driver has the loop through time, loads that go ahead of it, the states that are saved and computed
//! again, packed spikes, surrogates, the trace of the membrane, parameters that are tensors, and long
//! sequences in parts: in WGSL (`shaders/recur/`), as the oracle here, and for the host in
//! `src/host/recur/`. A cell has a step and its adjoint, in WGSL and in Rust.

mod backward;
mod cell;
mod declare;
mod forward;
mod layer;
mod parameters;
mod params;
mod reset;
mod rule;
mod scan;

pub(crate) use backward::{backward, backward_cost};
pub(crate) use cell::{Cell, Gradient};
pub(crate) use declare::recurrence;
pub(crate) use forward::{forward, forward_cost};
pub(crate) use layer::{Driver, Options};
pub(crate) use params::{RecurParams, SPIKES, turns};
pub use reset::Reset;
pub(crate) use rule::{Columns, Rule};

use crate::kernel::Kernel;

/// The kernels of the family; each cell has two of its own.
pub const KERNELS: &[&Kernel] = &[&parameters::PARAMETER_SUMS];
