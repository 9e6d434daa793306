//! Attention on the host: blocks of pairs in vector registers.

mod backward;
mod block;
mod cache;
mod forward;
mod product;
mod spike_product;

pub(crate) use backward::{attention_key_gradient, attention_query_gradient};
pub(crate) use cache::{cache_extend, decode_attend};
pub(crate) use forward::attention_forward;
pub(crate) use spike_product::{spike_outer, spike_overlap, spike_rows};
