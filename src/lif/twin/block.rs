//! Where the columns of a layer find their parameters.

use super::{Layer, Neuron};
use crate::host::Real;

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
