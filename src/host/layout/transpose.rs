//! Transpositions by blocks of a cache line.

use crate::host::HostArgs;
use crate::host::parallel::*;
use crate::layout::{TransposeParams, moved};

/// Lines and columns of a block that is transposed.
const TOGETHER: usize = 16;

pub(crate) fn transpose(args: &mut HostArgs<'_, f32>) {
    let p: TransposeParams = args.params();
    fn run<T: Copy + Send + Sync>(p: &TransposeParams, x: &[T], y: &mut [T]) {
        let (rows, columns) = (p.rows as usize, p.columns as usize);
        // Lines of the outcome that lie in one cache line of what is read.
        y.par_chunks_mut(TOGETHER * rows).enumerate().for_each(|(task, lines)| {
            for left in (0..rows).step_by(TOGETHER) {
                for (l, y) in lines.chunks_exact_mut(rows).enumerate() {
                    let line = task * TOGETHER + l;
                    let from = line / columns * rows * columns + line % columns;
                    let end = rows.min(left + TOGETHER);
                    for (i, y) in y[left..end].iter_mut().enumerate() {
                        *y = x[from + (left + i) * columns];
                    }
                }
            }
        });
    }
    moved!(args, |x, y| run(&p, x, y))
}
