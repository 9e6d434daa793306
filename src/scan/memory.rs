//! The memory of a WKV channel: see `scan/memory.wgsl`.

use crate::host::{Real, exp, greatest, least};
use crate::{Result, Shape};

/// Steps between two memories that are saved: `EVERY` of `scan/memory.wgsl`.
pub(crate) const EVERY: usize = 8;

/// The exponent of no memory at all: below that of any key.
pub(crate) const NOTHING: f64 = f32::MIN as f64;

/// The shape of a memory.
pub(super) fn state_shape(step: &[usize]) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(3).chain(step.iter().copied()).collect();
    Shape::new(&dims)
}

/// `w' = -e^w`, finite: where that overflows nothing is left after one step, but of the step before all
/// is, and 0 times an infinity would be NaN.
pub(crate) fn decay_of<R: Real>(w: R) -> R {
    -least(w.exp(), R::max_value())
}

/// e^0 for the larger of two exponents that differ by `ahead`, and for the smaller what remains.
#[inline(always)]
pub(crate) fn weights<R: Real>(ahead: R) -> (R, R) {
    let e = exp(-ahead.abs());
    if ahead >= R::zero() { (R::one(), e) } else { (e, R::one()) }
}

/// The sums over the past, `e^o p` of weighted values and `e^o q` of the weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory<R> {
    pub(super) p: R,
    pub(super) q: R,
    pub(super) o: R,
}

impl<R: Real> Memory<R> {
    /// Of nothing.
    pub(super) fn empty() -> Self {
        Self { p: R::zero(), q: R::zero(), o: R::lit(NOTHING) }
    }

    /// Memory number `i` of `[.., 3, columns]`, column `c`.
    pub(super) fn load(rows: &[R], i: usize, columns: usize, c: usize) -> Self {
        let [p, q, o] = [0, 1, 2].map(|k| rows[(3 * i + k) * columns + c]);
        Self { p, q, o }
    }

    /// Likewise, stored.
    pub(super) fn store(&self, rows: &mut [R], i: usize, columns: usize, c: usize) {
        for (k, value) in [self.p, self.q, self.o].into_iter().enumerate() {
            rows[(3 * i + k) * columns + c] = value;
        }
    }

    /// The exponent after a decay of `decay`: of nothing it does not change, be the decay a NaN.
    fn decayed(&self, decay: R) -> R {
        if self.q == R::zero() { self.o } else { self.o + decay }
    }

    /// The sum with another one, `e^(o' - o)` times as large, after a decay of `decay` in the exponent;
    /// and the weights of both.
    pub(super) fn joined(&self, decay: R, other: &Self) -> (Self, (R, R)) {
        let top = self.decayed(decay);
        let (past, now) = weights(top - other.o);
        let p = past * self.p + now * other.p;
        let q = past * self.q + now * other.q;
        (Self { p, q, o: greatest(top, other.o) }, (past, now))
    }

    /// The memory after a step, and the weights of the past and of the step in it.
    pub(super) fn step(&self, decay: R, key: R, value: R) -> (Self, (R, R)) {
        let (mut next, weights) = self.joined(decay, &Self { p: value, q: R::one(), o: key });
        // Of a NaN from the past the sums keep track; the exponent is the key's again.
        if next.o.is_nan() {
            next.o = key;
        }
        (next, weights)
    }

    /// The average of a step, and the weights of the past and of the step over its denominator.
    pub(super) fn average(&self, bonus: R, key: R, value: R) -> (R, (R, R)) {
        let (past, now) = weights(self.o - (bonus + key));
        let (top, all) = (past * self.p + now * value, past * self.q + now);
        (top / all, (past / all, now / all))
    }
}
