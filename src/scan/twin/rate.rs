//! What a channel keeps of its state.

use super::parts::{Grid, Part};
use crate::host::{HostArgs, Real};
use crate::scan::decay::{FIXED, LOGIT, Params};

/// `lam = keep - drop` and `leak = 1 - lam`; see `shared/decay.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate<R> {
    pub(super) lam: R,
    pub(super) leak: R,
    pub(super) keep: R,
    pub(super) drop: R,
    /// ln lam
    pub(super) log: R,
}

impl<R: Real> Rate<R> {
    fn of_value(lam: R) -> Self {
        let zero = R::zero();
        Self { lam, leak: R::one() - lam, keep: lam, drop: zero, log: lam.ln() }
    }

    fn of_logit(raw: R) -> Self {
        let e = (-raw.abs()).exp();
        let large = (R::one() + e).recip();
        let small = e * large;
        let log = raw.min(R::zero()) - e.ln_1p();
        if raw < R::zero() {
            Self { lam: small, leak: large, keep: small, drop: R::zero(), log }
        } else {
            Self { lam: large, leak: small, keep: R::one(), drop: small, log }
        }
    }

    /// lam^steps
    pub(super) fn over(&self, steps: usize) -> R {
        if steps == 0 { R::one() } else { (self.log * R::lit(steps as f64)).exp() }
    }
}

/// What is taken from `keep x`; nothing, of an infinity too, where nothing is.
#[inline(always)]
pub(super) fn dropped<R: Real>(drop: R, x: R) -> R {
    if drop == R::zero() { drop } else { drop * x }
}

/// The rates of all channels.
pub(super) fn of_channels<R: Real>(args: &HostArgs<'_, R>) -> Vec<Rate<R>> {
    let p: Params = args.params();
    let form = args.constant_or("FORM", FIXED);
    if form == FIXED {
        let rate = Rate::of_value(R::lit(p.decay.into()));
        return vec![rate; p.share.channels as usize];
    }
    let of = |v: &R| if form == LOGIT { Rate::of_logit(*v) } else { Rate::of_value(*v) };
    let heads: Vec<Rate<R>> = args.reals(1).iter().map(of).collect();
    (0..p.share.channels as usize).map(|n| heads[n / p.share.group as usize]).collect()
}

/// The rates of a part's columns, each number for itself.
pub(super) struct Table<R> {
    pub(super) keep: Vec<R>,
    pub(super) drop: Vec<R>,
    pub(super) gain: Vec<R>,
}

impl<R: Real> Table<R> {
    pub(super) fn new(rates: &[Rate<R>], grid: &Grid, part: &Part, tied: bool) -> Self {
        let at = |c: usize| &rates[c % grid.channels];
        let columns = part.first..part.first + part.width;
        Self {
            keep: columns.clone().map(|c| at(c).keep).collect(),
            drop: columns.clone().map(|c| at(c).drop).collect(),
            gain: columns.map(|c| if tied { at(c).leak } else { R::one() }).collect(),
        }
    }
}
