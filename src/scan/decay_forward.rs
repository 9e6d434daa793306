//! The forward launch of a recurrence.

use super::decay_carry;
use super::params::{DecayParams, Share, emits};
use super::plan::WALKS;
use super::rate::{Scan, of_channels};
use crate::host::{self, HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::{DType, Result, Shape, Tensor, kernel};

kernel! {
    /// `h[t] = lam h[t-1] + gain u[t]`
    pub(super) static DECAY_SCAN = "scan/decay_scan";
    params = DecayParams;
    oracle = decay_scan;
    host = host::scan::decay_scan;
    variants = WALKS;
    cost = cost;
    iterations = |args| args.params::<DecayParams>().share.iterations(args, 1, 8);
}

/// Input and output once.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<DecayParams>().share.fraction();
    let [u, h, last] = ["u", "h", "last"].map(|name| args.words_of(name) as f64);
    Cost { bytes: ((u + h) * share + last) * 4.0, flops: u * share * 4.0 }
}

fn decay_scan<R: Real>(args: &mut HostArgs<'_, R>) {
    let share = args.params::<DecayParams>().share;
    let (columns, rates) = (share.columns as usize, of_channels(args));
    let (tied, state, emit) = (args.flag("TIED"), args.flag("STATE"), args.flag("EMIT"));
    let (u, starts) = (args.reals("u"), args.reals("starts"));
    let (h, last) = (args.reals_mut("h"), args.reals_mut("last"));
    for (chunk, c, steps) in share.walks() {
        let rate = &rates[c % rates.len()];
        let end = steps.end;
        let mut now = if state { starts[chunk * columns + c] } else { R::zero() };
        for i in steps.map(|t| t * columns + c) {
            now = rate.decayed(now) + rate.gain(tied) * u[i];
            if emit {
                h[i] = now;
            }
        }
        if !emit {
            last[chunk * columns + c] = now;
        } else if share.is_last(end) {
            last[c] = now;
        }
    }
}

/// `h` of every step, and the last.
pub(super) fn run(scan: &Scan, u: &Tensor, initial: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
    let device = u.device();
    let cut = &scan.cut;
    let mut starts = if cut.is_chunked() {
        let carry = Tensor::empty(device, [cut.chunks, cut.columns], DType::F32)?;
        walk(scan, cut.whole(), u, None, None, &carry)?;
        decay_carry::join(scan, initial, &carry, false)?;
        Some(carry)
    } else {
        initial.cloned()
    };
    let h = Tensor::empty(device, *u.shape(), DType::F32)?;
    let step = Shape::new(&u.shape().dims()[1..])?;
    let mut last = Tensor::empty(device, step, DType::F32)?;
    for (i, share) in cut.forward_shares(1).into_iter().enumerate() {
        if i > 0 {
            starts = Some(std::mem::replace(&mut last, Tensor::empty(device, step, DType::F32)?));
        }
        walk(scan, share, u, starts.as_ref(), Some(&h), &last)?;
    }
    Ok((h, last))
}

fn walk(
    scan: &Scan,
    share: Share,
    u: &Tensor,
    starts: Option<&Tensor>,
    h: Option<&Tensor>,
    last: &Tensor,
) -> Result<()> {
    let launch = scan.prepare(scan.cut.walk(u.device(), &DECAY_SCAN), share);
    let launch = launch.constant("TIED", scan.tied).constant("EMIT", h.is_some());
    let launch = launch.constant("STATE", starts.is_some()).bind_if("starts", starts);
    launch.bind("u", u).bind_if("h", h).bind("last", last).record()
}
