//! Recurrences over time, made of equations.
//!
//! What a neuron does in a step is written once, as [expressions](Expr). From these come its adjoint, by
//! reverse mode; the WGSL of a cell, `package::cell`, which is composed into the driver's shaders
//! (`shaders/recur/`); and the oracle and the host's loops (`src/host/recur/`), which go through the
//! operations one by one. The driver has the loop through time, loads that go ahead of it, states that are
//! saved and computed again, spikes as bits, parameters that are tensors, and long sequences in parts.

mod adjoint;
mod backward;
mod definition;
mod drivers;
mod equations;
mod expression;
mod forward;
mod kernels;
mod layer;
mod make;
mod oracle;
mod parameters;
mod params;
mod scan;
mod wgsl;

pub(crate) use definition::Definition;
pub(crate) use drivers::driver_of;
pub use equations::{Equations, Expr};
pub(crate) use expression::{Op, Program, choose, part, through};
pub(crate) use layer::Options;
pub(crate) use make::{Made, make};
pub(crate) use oracle::{Columns, backward as oracle_backward, forward as oracle_forward, word_at};
pub(crate) use params::RecurParams;
pub(crate) use scan::Start;

use crate::kernel::Kernel;

/// The kernels of the family; each neuron has two of its own.
pub const KERNELS: &[&Kernel] = &[&parameters::PARAMETER_SUMS];
