//! Copies by runs along the first axis.

use crate::host::HostArgs;
use crate::host::parallel::*;
use crate::layout::{StridedParams, moved};

/// Elements that one task writes.
const TASK: usize = 4096;

pub(crate) fn strided(args: &mut HostArgs<'_, f32>) {
    let p: StridedParams = args.params();
    fn run<T: Copy + Send + Sync>(p: &StridedParams, x: &[T], y: &mut [T]) {
        let rank = p.rank as usize;
        let (inner, stride) = match rank {
            0 => (1, 0),
            _ => (p.dims[0] as usize, p.strides[0] as usize),
        };
        y.par_chunks_mut(TASK).enumerate().for_each(|(task, y)| {
            let mut i = task * TASK;
            let mut left = y;
            // Runs along the first axis: where one begins is worked out once.
            while !left.is_empty() {
                let (mut rest, mut from) = (i / inner, p.base as usize + i % inner * stride);
                for (extent, stride) in p.dims.iter().zip(&p.strides).take(rank).skip(1) {
                    from += rest % *extent as usize * *stride as usize;
                    rest /= *extent as usize;
                }
                let run = (inner - i % inner).min(left.len());
                let (line, others) = left.split_at_mut(run);
                match stride {
                    1 => line.copy_from_slice(&x[from..from + run]),
                    0 => line.fill(x[from]),
                    _ => {
                        let values = x[from..].iter().step_by(stride);
                        line.iter_mut().zip(values).for_each(|(y, x)| *y = *x);
                    }
                }
                (i, left) = (i + run, others);
            }
        });
    }
    moved!(args, |x, y| run(&p, x, y))
}
