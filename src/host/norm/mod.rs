//! Normalisation of rows, in vector lanes.

mod backward;
mod forward;

pub(crate) use backward::norm_backward;
pub(crate) use forward::norm_forward;

/// Elements that one task takes: whole rows, at least this many elements.
const TASK: usize = 1 << 13;

/// Rows of `length` elements that make a task.
fn task_rows(length: usize) -> usize {
    TASK.div_ceil(length.max(1))
}
