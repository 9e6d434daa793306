//! The CPU twins.

use super::fill::Params as FillParams;
use crate::host::{HostArgs, Real};

pub(super) fn fill<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: FillParams = args.params();
    args.reals_mut(0).fill(R::lit(f64::from(p.value)));
}

pub(super) fn accumulate<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals(1);
    let sum = args.reals_mut(0);
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += *x;
    }
}
