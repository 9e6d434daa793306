//! Hard Concrete gates.

use super::super::concrete::Params;
use crate::elementwise::each;
use crate::host::{HostArgs, Real, keep_nan, limited};

/// `sigmoid((ln u - ln(1 - u) + a) / beta)`, or without noise `sigmoid(a)`.
fn open_share<R: Real>(a: R, u: Option<R>, beta: R) -> R {
    let x = u.map_or(a, |u| (u.ln() - (R::one() - u).ln() + a) / beta);
    (R::one() + (-x).exp()).recip()
}

pub(in super::super) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let noisy = args.constant_or("NOISE", 0) == 1;
    let [beta, gamma, zeta] = [p.beta, p.gamma, p.zeta].map(|v| R::lit(v.into()));
    let (a, u) = (args.reals(0), args.reals(1));
    each(args.reals_mut(2), |i| {
        let s = open_share(a[i], noisy.then(|| u[i]), beta);
        limited(s * (zeta - gamma) + gamma, R::zero(), R::one())
    });
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let noisy = args.constant_or("NOISE", 0) == 1;
    let [beta, gamma, zeta] = [p.beta, p.gamma, p.zeta].map(|v| R::lit(v.into()));
    let rate = if noisy { beta.recip() } else { R::one() };
    let (a, u, g) = (args.reals(0), args.reals(1), args.reals(2));
    each(args.reals_mut(3), |i| {
        let s = open_share(a[i], noisy.then(|| u[i]), beta);
        let m = s * (zeta - gamma) + gamma;
        if m > R::zero() && m < R::one() {
            g[i] * (zeta - gamma) * s * (R::one() - s) * rate
        } else {
            keep_nan(m, R::zero())
        }
    });
}
