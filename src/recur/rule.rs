//! What a launch says of its columns, on the CPU.

use super::Reset;
use super::params::{EACH, FIXED, RecurParams, form};
use crate::host::{HostArgs, Real};
use crate::lif::Surrogate;

/// When a membrane fires, and what that takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) reset: Reset,
    strict: bool,
    /// The surrogate whose primitive takes the place of the spike.
    smooth: Option<Surrogate>,
}

impl Rule {
    pub(crate) fn new<R: Real>(args: &HostArgs<'_, R>) -> Self {
        let p: RecurParams = args.params();
        let smooth = p.relaxed.checked_sub(1);
        Self {
            reset: Reset::from_code(args.constant("RESET")),
            strict: args.flag("STRICT"),
            smooth: smooth.map(|code| Surrogate::from_code(code, p.alpha)),
        }
    }

    pub(crate) fn is_smooth(&self) -> bool {
        self.smooth.is_some()
    }

    /// The spike of a state: 0 or 1, or what takes its place in a smooth neuron.
    pub(super) fn fired<R: Real>(&self, s: &[R], c: &[R]) -> R {
        let (Some(membrane), Some(threshold)) = (s.last(), c.last()) else { return R::zero() };
        match self.smooth {
            Some(surrogate) => surrogate.primitive(*membrane - *threshold),
            None => self.fires(*membrane, *threshold),
        }
    }

    /// Likewise without a smooth neuron.
    #[inline(always)]
    pub(crate) fn fires<R: Real>(&self, membrane: R, threshold: R) -> R {
        let fires = if self.strict { membrane > threshold } else { membrane >= threshold };
        if fires { R::one() } else { R::zero() }
    }
}

/// The parameters of columns.
pub(crate) struct Columns<'a, R, const P: usize> {
    packed: &'a [R],
    forms: u32,
    fixed: [R; 8],
    neurons: usize,
}

impl<'a, R: Real, const P: usize> Columns<'a, R, P> {
    pub(crate) fn new(args: &HostArgs<'a, R>) -> Self {
        let p: RecurParams = args.params();
        Self {
            packed: args.reals("parameters"),
            forms: args.constant("FORMS"),
            fixed: p.values.map(|v| R::lit(v.into())),
            neurons: p.neurons as usize,
        }
    }

    /// Those of column `c`.
    pub(crate) fn of(&self, c: usize) -> [R; P] {
        let mut start = 0;
        std::array::from_fn(|k| {
            let (at, count) = match form(self.forms, k) {
                FIXED => return self.fixed[k],
                EACH => (c % self.neurons, self.neurons),
                _ => (0, 1),
            };
            start += count;
            self.packed[start - count + at]
        })
    }
}
