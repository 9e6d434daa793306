//! Rows on all threads of the host.

use crate::host::parallel::*;

/// Elements that one task takes, in whole rows.
pub(super) const TASK: usize = 1 << 13;

/// Calls `f` with the number of each row of `length` elements and the row, on all threads.
pub(super) fn each_row<R: Send>(data: &mut [R], length: usize, f: impl Fn(usize, &mut [R]) + Sync) {
    let rows = TASK.div_ceil(length);
    data.par_chunks_mut(rows * length).enumerate().for_each(|(task, data)| {
        for (k, row) in data.chunks_mut(length).enumerate() {
            f(task * rows + k, row);
        }
    });
}
