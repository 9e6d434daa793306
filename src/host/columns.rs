//! Columns of a time-major matrix, cut into blocks that threads share.
//!
//! Loops that scan over time run it outside and the columns of a block inside, so that rows stream
//! and loops vectorise.

use crate::host::parallel::*;

/// The most columns of a block: its state must stay near. Below that, wide blocks are better than
/// many: long stretches of a row are what the memory gives fast.
const WIDEST: usize = 1 << 16;
/// The fewest columns it is worth to cut.
const NARROWEST: usize = 256;

/// Work, in elements, below which other threads are not woken.
const SERIAL: usize = 1 << 15;

/// How `columns` columns of `steps` steps are cut: a block a thread.
pub(crate) fn width(columns: usize, steps: usize) -> usize {
    let threads = threads();
    if threads == 1 || columns * steps < SERIAL {
        return WIDEST.min(columns).max(1);
    }
    let share = columns.div_ceil(threads).next_multiple_of(64);
    share.clamp(NARROWEST, WIDEST)
}

/// The rows of a matrix, cut into blocks of `width` columns: `[block][row]`.
pub(crate) fn cut_mut<T>(matrix: &mut [T], columns: usize, width: usize) -> Vec<Vec<&mut [T]>> {
    let blocks = columns.div_ceil(width);
    let rows = matrix.len() / columns;
    let mut cut: Vec<Vec<&mut [T]>> = (0..blocks).map(|_| Vec::with_capacity(rows)).collect();
    for row in matrix.chunks_exact_mut(columns) {
        for (block, part) in cut.iter_mut().zip(row.chunks_mut(width)) {
            block.push(part);
        }
    }
    cut
}

/// Runs `work` on every block, on as many threads as there are; the outcome does not depend on it.
pub(crate) fn each_block<T: Send>(blocks: Vec<T>, work: impl Fn(usize, T) + Send + Sync) {
    if blocks.len() == 1 || threads() == 1 {
        blocks.into_iter().enumerate().for_each(|(i, block)| work(i, block));
    } else {
        blocks.into_par_iter().enumerate().for_each(|(i, block)| work(i, block));
    }
}
