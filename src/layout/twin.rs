//! The CPU twins. Floats and words are moved alike.

use super::concat::Params as PlaceParams;
use super::permute::Params as TransposeParams;
use super::slice::Params as PadParams;
use super::strided::Params as StridedParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

/// Elements that one task writes.
const TASK: usize = 4096;
/// Lines and columns of a block that is transposed.
const TOGETHER: usize = 16;

/// Calls a function generic over the element type with the launch's input and output.
macro_rules! moved {
    ($args:ident, $move:expr) => {
        if $args.is_real(0) {
            $move($args.reals(0), $args.reals_mut(1))
        } else {
            $move($args.words(0), $args.words_mut(1))
        }
    };
}

pub(super) fn strided<R: Real>(args: &mut HostArgs<'_, R>) {
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

pub(super) fn transpose<R: Real>(args: &mut HostArgs<'_, R>) {
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

pub(super) fn pad<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PadParams = args.params();
    fn run<T: Copy + Default + Send + Sync>(p: &PadParams, x: &[T], y: &mut [T]) {
        y.par_chunks_mut(TASK).enumerate().for_each(|(task, y)| {
            for (i, y) in y.iter_mut().enumerate() {
                *y = padded(p, task * TASK + i).map_or(T::default(), |from| x[from]);
            }
        });
    }
    moved!(args, |x, y| run(&p, x, y))
}

/// Where element `i` of the outcome comes from; `None` for the zeros outside.
fn padded(p: &PadParams, i: usize) -> Option<usize> {
    let (mut rest, mut from, mut stride) = (i, 0, 1);
    for a in 0..p.rank as usize {
        let c = rest % p.outside[a] as usize;
        let inside = c.checked_sub(p.before[a] as usize)?;
        if inside >= p.inside[a] as usize {
            return None;
        }
        from += inside * stride;
        stride *= p.inside[a] as usize;
        rest /= p.outside[a] as usize;
    }
    Some(from)
}

pub(super) fn place<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PlaceParams = args.params();
    fn run<T: Copy>(p: &PlaceParams, x: &[T], y: &mut [T]) {
        let (run, start) = (p.run as usize, p.start as usize);
        for (from, to) in x.chunks(run).zip(y.chunks_mut(p.stride as usize)) {
            to[start..start + run].copy_from_slice(from);
        }
    }
    moved!(args, |x, y| run(&p, x, y))
}
