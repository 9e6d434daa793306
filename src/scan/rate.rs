//! What a channel of a recurrence keeps of its state: what launches are told of it, and what the CPU
//! makes of that.

use super::params::{DecayParams, FIXED, LOGIT, Share};
use super::plan::Cut;
use crate::host::{HostArgs, Real};
use crate::{Launch, Tensor};

/// What all launches of a recurrence share.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) cut: Cut,
    pub(super) form: u32,
    pub(super) tied: bool,
    pub(super) rate: Option<Tensor>,
    /// `lam`, if it is a number.
    pub(super) fixed: f32,
}

impl Scan {
    /// Parameters, constants and the tensor of decays of a launch.
    pub(super) fn prepare(&self, launch: Launch, share: Share) -> Launch {
        let heads = self.rate.as_ref().map_or(1, Tensor::count);
        let group = (self.cut.channels / heads.max(1)).max(1) as u32;
        let params = DecayParams { share: Share { group, ..share }, decay: self.fixed };
        launch.params(&params).constant("FORM", self.form).bind_if("rate", self.rate.as_ref())
    }
}

/// `lam = keep - drop` and `leak = 1 - lam`; see `scan/decay.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate<R> {
    pub(crate) lam: R,
    pub(crate) leak: R,
    pub(crate) keep: R,
    pub(crate) drop: R,
    /// ln lam
    log: R,
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

    /// lam x
    pub(super) fn decayed(&self, x: R) -> R {
        self.keep * x - dropped(self.drop, x)
    }

    /// What the input is multiplied by.
    pub(super) fn gain(&self, tied: bool) -> R {
        if tied { self.leak } else { R::one() }
    }
}

/// What is taken from `keep x`; nothing, of an infinity too, where nothing is.
#[inline(always)]
pub(crate) fn dropped<R: Real>(drop: R, x: R) -> R {
    if drop == R::zero() { drop } else { drop * x }
}

/// The rates of all channels.
pub(crate) fn of_channels<R: Real>(args: &HostArgs<'_, R>) -> Vec<Rate<R>> {
    let p: DecayParams = args.params();
    let form = args.constant("FORM");
    if form == FIXED {
        let rate = Rate::of_value(R::lit(p.decay.into()));
        return vec![rate; p.share.channels as usize];
    }
    let of = |v: &R| if form == LOGIT { Rate::of_logit(*v) } else { Rate::of_value(*v) };
    let heads: Vec<Rate<R>> = args.reals("rate").iter().map(of).collect();
    (0..p.share.channels as usize).map(|n| heads[n / p.share.group as usize]).collect()
}
