//! Where the columns of a layer find their parameters.

use super::Layer;

/// The parameters of a column, and what follows from them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neuron {
    pub(super) decay: f32,
    pub(super) rest: f32,
    pub(super) gain: f32,
    pub(super) threshold: f32,
    /// The smallest membrane that fires: the threshold, or the next number above it.
    pub(super) fire_at: f32,
}

impl Neuron {
    /// Those of column `c` of a layer.
    pub(super) fn of(layer: &Layer<'_>, c: usize) -> Self {
        let n = layer.neuron(c);
        let fire_at = if layer.options.strict { n.threshold.next_up() } else { n.threshold };
        Self { decay: n.decay, rest: n.rest, gain: n.gain, threshold: n.threshold, fire_at }
    }
}

/// Where the columns of a layer find their parameters, in a loop over columns.
pub(super) trait Pick: Copy {
    /// The first `n` columns: tells the compiler that they exist.
    fn cut(&self, n: usize) -> Self;
    /// The parameters of column `i` of the block.
    fn at(&self, i: usize) -> Neuron;
}

/// All neurons are alike.
#[derive(Clone, Copy)]
pub(super) struct Same(pub(super) Neuron);

impl Pick for Same {
    #[inline(always)]
    fn cut(&self, _: usize) -> Self {
        *self
    }
    #[inline(always)]
    fn at(&self, _: usize) -> Neuron {
        self.0
    }
}

/// The parameters of each column of a block.
pub(super) struct Table {
    values: [Vec<f32>; 5],
}

impl Table {
    pub(super) fn new(layer: &Layer<'_>, first: usize, width: usize) -> Self {
        let mut values: [Vec<f32>; 5] = std::array::from_fn(|_| Vec::with_capacity(width));
        for c in first..first + width {
            let n = Neuron::of(layer, c);
            let all = [n.decay, n.rest, n.gain, n.threshold, n.fire_at];
            for (column, value) in values.iter_mut().zip(all) {
                column.push(value);
            }
        }
        Self { values }
    }

    pub(super) fn pick(&self) -> Each<'_> {
        let [decay, rest, gain, threshold, fire_at] = &self.values;
        Each { decay, rest, gain, threshold, fire_at }
    }
}

/// Neurons differ.
#[derive(Clone, Copy)]
pub(super) struct Each<'a> {
    decay: &'a [f32],
    rest: &'a [f32],
    gain: &'a [f32],
    threshold: &'a [f32],
    fire_at: &'a [f32],
}

impl Pick for Each<'_> {
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
    fn at(&self, i: usize) -> Neuron {
        Neuron {
            decay: self.decay[i],
            rest: self.rest[i],
            gain: self.gain[i],
            threshold: self.threshold[i],
            fire_at: self.fire_at[i],
        }
    }
}
