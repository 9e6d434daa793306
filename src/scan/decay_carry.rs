//! The launch that joins the chunks of a recurrence.

use super::params::DecayParams;
use super::rate::{Scan, of_channels};
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::{Result, Tensor, kernel};

kernel! {
    /// `x[i] = lam^length x[i-1] + left[i-1]`
    pub(super) static DECAY_CARRY = "scan/decay_carry";
    params = DecayParams;
    oracle = decay_carry;
    cost = cost;
    iterations = |args| 20 + 3 * u64::from(args.params::<DecayParams>().share.chunks);
}

/// Chunks are no part of an ideal implementation; reading and writing their states is.
fn cost(args: &CostArgs<'_>) -> Cost {
    let states = args.words_of("carry") as f64;
    Cost { bytes: states * 8.0, flops: states * 2.0 }
}

fn decay_carry<R: Real>(args: &mut HostArgs<'_, R>) {
    let share = args.params::<DecayParams>().share;
    let (columns, steps) = (share.columns as usize, share.steps as usize);
    let (chunk, chunks) = (share.chunk as usize, share.chunks as usize);
    let rates = of_channels(args);
    let (state, reverse) = (args.flag("STATE"), args.flag("REVERSE"));
    let initial = args.reals("initial");
    let carry = args.reals_mut("carry");
    for c in 0..columns {
        let mut x = if state { initial[c] } else { R::zero() };
        for i in 0..chunks {
            let at = if reverse { chunks - 1 - i } else { i };
            let length = chunk.min(steps - at * chunk);
            let left = &mut carry[at * columns + c];
            let next = rates[c % rates.len()].over(length) * x + *left;
            *left = std::mem::replace(&mut x, next);
        }
    }
}

/// Turns what the chunks leave into what they start from, beginning with `initial`; from the last
/// chunk to the first if `reverse`.
pub(super) fn join(
    scan: &Scan,
    initial: Option<&Tensor>,
    carry: &Tensor,
    reverse: bool,
) -> Result<()> {
    let launch = scan.prepare(scan.cut.join(carry.device(), &DECAY_CARRY), scan.cut.whole());
    let launch = launch.constant("STATE", initial.is_some()).constant("REVERSE", reverse);
    launch.bind_if("initial", initial).bind("carry", carry).record()
}
