//! Blocks of columns.

use crate::host::Real;
use rayon::prelude::*;

use super::{Layer, Neuron};

/// Where the columns of a layer find their parameters, in a loop over columns.
pub(super) trait Pick<R>: Copy {
    /// The first `n` columns: tells the compiler that they exist.
    fn cut(&self, n: usize) -> Self;
    /// The parameters of column `i` of the block.
    fn at(&self, i: usize) -> Neuron<R>;
}

/// All neurons are alike.
#[derive(Clone, Copy)]
pub(super) struct Same<R>(pub(super) Neuron<R>);

impl<R: Real> Pick<R> for Same<R> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        *self
    }
    #[inline(always)]
    fn at(&self, _: usize) -> Neuron<R> {
        self.0
    }
}

/// The parameters of each column of a block.
pub(super) struct Table<R> {
    values: [Vec<R>; 5],
}

impl<R: Real> Table<R> {
    pub(super) fn new(layer: &Layer<'_, R>, first: usize, width: usize) -> Self {
        let mut values: [Vec<R>; 5] = std::array::from_fn(|_| Vec::with_capacity(width));
        for c in first..first + width {
            let n = layer.neuron(c);
            let all = [n.decay, n.rest, n.gain, n.threshold, n.fire_at];
            for (column, value) in values.iter_mut().zip(all) {
                column.push(value);
            }
        }
        Self { values }
    }

    pub(super) fn pick(&self) -> Each<'_, R> {
        let [decay, rest, gain, threshold, fire_at] = &self.values;
        Each { decay, rest, gain, threshold, fire_at }
    }
}

/// Neurons differ.
#[derive(Clone, Copy)]
pub(super) struct Each<'a, R> {
    decay: &'a [R],
    rest: &'a [R],
    gain: &'a [R],
    threshold: &'a [R],
    fire_at: &'a [R],
}

impl<R: Real> Pick<R> for Each<'_, R> {
    #[inline(always)]
    fn cut(&self, n: usize) -> Self {
        Self {
            decay: &self.decay[..n],
            rest: &self.rest[..n],
            gain: &self.gain[..n],
            threshold: &self.threshold[..n],
            fire_at: &self.fire_at[..n],
        }
    }
    #[inline(always)]
    fn at(&self, i: usize) -> Neuron<R> {
        Neuron {
            decay: self.decay[i],
            rest: self.rest[i],
            gain: self.gain[i],
            threshold: self.threshold[i],
            fire_at: self.fire_at[i],
        }
    }
}

/// The most columns of a block: its state must stay near. Below that, wide blocks are better than
/// many: long stretches of a row are what the memory gives fast.
const WIDEST: usize = 1 << 16;
/// The fewest columns it is worth to cut.
const NARROWEST: usize = 256;

/// Work, in elements, below which other threads are not woken.
const SERIAL: usize = 1 << 15;

/// How `columns` columns of `steps` steps are cut: a block a thread.
pub(super) fn width(columns: usize, steps: usize) -> usize {
    let threads = rayon::current_num_threads();
    if threads == 1 || columns * steps < SERIAL {
        return WIDEST.min(columns).max(1);
    }
    let share = columns.div_ceil(threads).next_multiple_of(64);
    share.clamp(NARROWEST, WIDEST)
}

/// The rows of a matrix, cut into blocks of `width` columns: `[block][row]`.
pub(super) fn cut_mut<T>(matrix: &mut [T], columns: usize, width: usize) -> Vec<Vec<&mut [T]>> {
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
pub(super) fn each_block<T: Send>(blocks: Vec<T>, work: impl Fn(usize, T) + Send + Sync) {
    if blocks.len() == 1 || rayon::current_num_threads() == 1 {
        blocks.into_iter().enumerate().for_each(|(i, block)| work(i, block));
    } else {
        blocks.into_par_iter().enumerate().for_each(|(i, block)| work(i, block));
    }
}
