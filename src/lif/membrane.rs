//! The membrane on the CPU: what a launch says of its neurons, and what a step does to one of them.

use super::Surrogate;
use super::params::{EACH, FIXED, HARD, LifParams, SOFT, TIED};
use crate::host::{HostArgs, Real, limited};

/// The options of a launch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<R> {
    pub(crate) columns: usize,
    pub(crate) steps: usize,
    neurons: usize,
    pub(crate) reset: u32,
    pub(crate) strict: bool,
    pub(crate) clamp: bool,
    pub(crate) low: R,
    pub(crate) high: R,
    pub(crate) v_reset: R,
    pub(crate) alpha: f32,
    /// The number of the surrogate whose primitive takes the place of the spike.
    smooth: Option<u32>,
}

impl<R: Real> Options<R> {
    fn new(args: &HostArgs<'_, R>) -> Self {
        let p: LifParams = args.params();
        let clamp = args.flag("CLAMP");
        let bound = |value: f32, none: R| if clamp { R::lit(value.into()) } else { none };
        Self {
            columns: p.columns as usize,
            steps: p.steps as usize,
            neurons: p.neurons as usize,
            reset: args.constant("RESET"),
            strict: args.flag("STRICT"),
            clamp,
            low: bound(p.low, R::neg_infinity()),
            high: bound(p.high, R::infinity()),
            v_reset: R::lit(p.v_reset.into()),
            alpha: p.alpha,
            smooth: p.relaxed.checked_sub(1),
        }
    }

    /// Where the leak pulls to.
    pub(crate) fn v_rest(&self) -> R {
        if self.reset == HARD { self.v_reset } else { R::zero() }
    }

    /// The membrane within its bounds.
    pub(super) fn held(&self, raw: R) -> R {
        if self.clamp { limited(raw, self.low, self.high) } else { raw }
    }

    /// Whether the gradient passes the bounds.
    pub(super) fn is_inside(&self, raw: R) -> bool {
        !self.clamp || (raw > self.low && raw < self.high)
    }

    /// The spike of a charged membrane: 0 or 1, or what takes its place in a smooth neuron.
    pub(super) fn spike(&self, neuron: &Neuron<R>, h: R) -> R {
        if let Some(code) = self.smooth {
            return Surrogate::from_code(code, self.alpha).primitive(h - neuron.threshold);
        }
        let fires = if self.strict { h > neuron.threshold } else { h >= neuron.threshold };
        if fires { R::one() } else { R::zero() }
    }

    /// The membrane after a spike `s`.
    pub(super) fn after(&self, neuron: &Neuron<R>, h: R, s: R) -> R {
        match self.reset {
            HARD => choose(s, self.v_reset, h),
            SOFT => choose(s, h - neuron.threshold, h),
            _ => h,
        }
    }
}

/// `spiked` where a spike is 1, `silent` where it is 0, and between them where it is a real number.
/// No product with 0: an infinite membrane must not become NaN.
#[inline(always)]
pub(crate) fn choose<R: Real>(s: R, spiked: R, silent: R) -> R {
    if s == R::zero() {
        silent
    } else if s == R::one() {
        spiked
    } else {
        s * spiked + (R::one() - s) * silent
    }
}

/// A product that is nothing without a gradient, whatever the state, and at rest, whatever the gradient.
#[inline(always)]
pub(crate) fn part<R: Real>(gradient: R, state: R) -> R {
    let none = gradient == R::zero() || state == R::zero();
    if none { R::zero() } else { gradient * state }
}

/// One neuron's parameters, and what follows from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neuron<R> {
    pub(crate) decay: R,
    pub(crate) rest: R,
    pub(crate) gain: R,
    pub(crate) threshold: R,
}

impl<R: Real> Neuron<R> {
    /// The membrane after charging, before it is bounded.
    pub(super) fn charge(&self, v: R, x: R) -> R {
        self.decay * v + (self.rest + self.gain * x)
    }
}

/// The parameters of a layer: numbers, or one value a neuron.
pub(crate) struct Layer<'a, R> {
    decay: &'a [R],
    threshold: &'a [R],
    gain: &'a [R],
    /// Form and fixed value of decay, threshold and gain.
    forms: [u32; 3],
    fixed: [R; 3],
    pub(crate) options: Options<R>,
}

impl<'a, R: Real> Layer<'a, R> {
    /// That of a launch.
    pub(crate) fn new(args: &HostArgs<'a, R>) -> Self {
        let p: LifParams = args.params();
        Self {
            decay: args.reals("decay"),
            threshold: args.reals("threshold"),
            // Where the membrane is computed again the gain is no tensor.
            gain: if args.when("CHECKPOINTS") { &[] } else { args.reals("gain") },
            forms: ["DECAY", "THRESHOLD", "GAIN"].map(|name| args.constant(name)),
            fixed: [p.decay, p.threshold, p.gain].map(|v| R::lit(v.into())),
            options: Options::new(args),
        }
    }

    /// Whether neurons differ.
    pub(crate) fn varies(&self) -> bool {
        self.forms.contains(&EACH)
    }

    /// The parameters of column `c`.
    pub(crate) fn neuron(&self, c: usize) -> Neuron<R> {
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
        Neuron { decay, rest, gain, threshold }
    }

    /// Those of all columns.
    pub(super) fn all(&self) -> Vec<Neuron<R>> {
        (0..self.options.columns).map(|c| self.neuron(c)).collect()
    }
}
