//! The CPU twins.

mod backward;
mod block;
pub(super) mod cache;
mod forward;
mod move_rows;
mod orders;
mod product;
pub(super) mod spike_product;

pub(super) use backward::{key_gradient, query_gradient};
pub(super) use forward::forward;
pub(super) use move_rows::{delta, gather, scatter};
pub(super) use orders::{gate_order, spike_gate};
