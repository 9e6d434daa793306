//! Rows as they are normalised.

use crate::host::Real;

/// The element that a row's mean is counted from.
#[inline(always)]
pub(crate) fn pivot<R: Real>(row: &[R], rms: bool) -> R {
    if rms { R::zero() } else { row[0] }
}

/// A row as it is normalised: less its pivot, times a power of two (`shared/deviation.wgsl`).
#[derive(Clone, Copy)]
pub(crate) struct Scaled<R> {
    pub(crate) down: R,
    pub(crate) up: R,
    pub(crate) pivot: R,
}

impl<R: Real> Scaled<R> {
    #[inline(always)]
    pub(crate) fn new(pivot: R, factor: R) -> Self {
        let down = factor.min(R::one());
        Self { down, up: factor.max(R::one()), pivot: pivot * down }
    }

    #[inline(always)]
    pub(crate) fn deviation(&self, x: R) -> R {
        (x * self.down - self.pivot) * self.up
    }
}

/// A row as forward left it.
#[derive(Clone, Copy)]
pub(crate) struct Normal<R> {
    pub(crate) row: Scaled<R>,
    pub(crate) shift: R,
    pub(crate) q: R,
    pub(crate) s: R,
}

impl<R: Real> Normal<R> {
    /// From its statistics.
    #[inline(always)]
    pub(crate) fn new(x: &[R], stats: &[R], rms: bool) -> Self {
        let row = Scaled::new(pivot(x, rms), stats[2]);
        Self { row, shift: stats[0], q: stats[1], s: stats[2] }
    }

    #[inline(always)]
    pub(crate) fn at(&self, x: R) -> R {
        (self.row.deviation(x) - self.shift) * self.q
    }
}
