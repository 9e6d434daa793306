//! The CPU twins. Columns are independent: they are cut into blocks that threads share, and within
//! a block time runs outside and columns inside, so that rows stream and loops vectorise.

mod backward;
mod block;
mod forward;
mod parameters;
mod rows;
mod smooth;

pub(super) use backward::backward;
pub(super) use forward::forward;
pub(super) use parameters::parameters;

use super::neuron::{EACH, FIXED, HARD, TIED};
use super::scan::Params;
use crate::host::{HostArgs, Real, limited};

/// The options of a launch.
#[derive(Debug, Clone, Copy)]
struct Options<R> {
    columns: usize,
    steps: usize,
    neurons: usize,
    reset: u32,
    strict: bool,
    clamp: bool,
    low: R,
    high: R,
    v_reset: R,
    every: usize,
    alpha: f32,
    /// The number of the surrogate whose primitive takes the place of the spike.
    smooth: Option<u32>,
}

impl<R: Real> Options<R> {
    fn new(args: &HostArgs<'_, R>) -> Self {
        let p: Params = args.params();
        let clamp = args.constant_or("CLAMP", 0) != 0;
        let bound = |value: f32, none: R| if clamp { R::lit(value.into()) } else { none };
        Self {
            columns: p.columns as usize,
            steps: p.steps as usize,
            neurons: p.neurons as usize,
            reset: args.constant_or("RESET", HARD),
            strict: args.constant_or("STRICT", 0) != 0,
            clamp,
            low: bound(p.low, R::neg_infinity()),
            high: bound(p.high, R::infinity()),
            v_reset: R::lit(p.v_reset.into()),
            every: args.constant_or("EVERY", 16) as usize,
            alpha: p.alpha,
            smooth: p.relaxed.checked_sub(1),
        }
    }

    /// Where the leak pulls to.
    fn v_rest(&self) -> R {
        if self.reset == HARD { self.v_reset } else { R::zero() }
    }

    fn limited(&self, raw: R) -> R {
        if self.clamp { limited(raw, self.low, self.high) } else { raw }
    }
}

/// One neuron's parameters, and what follows from them.
#[derive(Debug, Clone, Copy)]
struct Neuron<R> {
    decay: R,
    rest: R,
    gain: R,
    threshold: R,
    /// The smallest membrane that fires: the threshold, or the next number above it.
    fire_at: R,
}

/// The parameters of a layer: numbers, or one value a neuron.
struct Layer<'a, R> {
    decay: &'a [R],
    threshold: &'a [R],
    gain: &'a [R],
    /// Form and fixed value of decay, threshold and gain.
    forms: [u32; 3],
    fixed: [R; 3],
    options: Options<R>,
}

impl<'a, R: Real> Layer<'a, R> {
    /// From a launch whose bindings `first`, `first + 1` and (if `gain` is one) `gain` hold them.
    fn new(args: &HostArgs<'a, R>, options: Options<R>, decay: usize, gain: Option<usize>) -> Self {
        let p: Params = args.params();
        let fixed = [p.decay, p.threshold, p.gain].map(|v| R::lit(v.into()));
        let forms = ["DECAY", "THRESHOLD", "GAIN"].map(|name| args.constant_or(name, FIXED));
        Self {
            decay: args.reals(decay),
            threshold: args.reals(decay + 1),
            gain: gain.map_or(&[], |i| args.reals(i)),
            forms,
            fixed,
            options,
        }
    }

    /// Whether neurons differ.
    fn varies(&self) -> bool {
        self.forms.contains(&EACH)
    }

    /// The parameters of column `c`.
    fn neuron(&self, c: usize) -> Neuron<R> {
        let n = c % self.options.neurons;
        let value = |i: usize, values: &[R]| match self.forms[i] {
            FIXED | TIED => self.fixed[i],
            EACH => values[n],
            _ => values[0],
        };
        let decay = value(0, self.decay);
        let threshold = value(1, self.threshold);
        let gain = if self.forms[2] == TIED { R::one() - decay } else { value(2, self.gain) };
        let o = &self.options;
        let rest = if o.reset == HARD { (R::one() - decay) * o.v_reset } else { R::zero() };
        let fire_at = if self.options.strict { next_above(threshold) } else { threshold };
        Neuron { decay, rest, gain, threshold, fire_at }
    }
}

/// The next number above `v` in its own precision.
fn next_above<R: Real>(v: R) -> R {
    if size_of::<R>() == 4 { R::lit(v.f32().next_up().into()) } else { R::lit(v.f64().next_up()) }
}
