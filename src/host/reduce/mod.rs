//! Reductions that were made fast.

mod fold;
mod softmax;

pub(crate) use fold::{reduce_columns, reduce_rows};
pub(crate) use softmax::{softmax, softmax_backward};
