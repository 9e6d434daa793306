//! Linear recurrences over time: decay scans, integrators, traces, moving averages, and the weighted
//! average of SpikeGPT and RWKV-4.
//!
//! Time is the leading axis and every column of `[T, …]` a recurrence of its own. Where there are
//! enough columns a launch a direction walks through time, one invocation a column; where there are
//! few, time is cut into chunks ([`Plan`]): each leaves a state, a second launch joins these, a third
//! walks through the chunks again from where they start.

mod decay;
mod decay_backward;
mod decay_carry;
mod decay_forward;
pub(crate) mod memory;
pub(crate) mod params;
mod plan;
pub(crate) mod rate;
mod wkv;
mod wkv_backward;
mod wkv_carry;
mod wkv_forward;

pub use decay::{Decay, DecayOutput, Recurrence};
pub use plan::Plan;
pub use wkv::{Wkv, WkvOutput, WkvState, wkv};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &decay_forward::DECAY_SCAN,
    &decay_carry::DECAY_CARRY,
    &decay_backward::DECAY_BACKWARD,
    &wkv_forward::WKV,
    &wkv_carry::WKV_CARRY,
    &wkv_backward::WKV_BACKWARD,
    &wkv_carry::WKV_CARRY_BACKWARD,
];
