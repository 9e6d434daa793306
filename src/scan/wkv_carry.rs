//! The launches that join the chunks of a WKV scan.

use super::memory::{EVERY, Memory, decay_of};
use super::params::Share;
use super::plan::Cut;
use crate::host::{HostArgs, Real, least};
use crate::kernel::{Cost, CostArgs};
use crate::{Result, Tensor, kernel};

kernel! {
    /// Memories at the ends of chunks become those at their starts
    pub(super) static WKV_CARRY = "scan/wkv_carry";
    params = Share;
    oracle = wkv_carry;
    cost = cost;
    iterations = iterations;
}

kernel! {
    /// Gradients at the starts of chunks become those at their ends
    pub(super) static WKV_CARRY_BACKWARD = "scan/wkv_carry_backward";
    params = Share;
    oracle = wkv_carry_backward;
    cost = cost_backward;
    iterations = iterations;
}

fn iterations(args: &CostArgs<'_>) -> u64 {
    1 + u64::from(args.params::<Share>().chunks)
}

fn cost(args: &CostArgs<'_>) -> Cost {
    let states = args.words_of("carry") as f64;
    Cost { bytes: states * 8.0, flops: states * 4.0 }
}

fn cost_backward(args: &CostArgs<'_>) -> Cost {
    let states = args.words_of("carry") as f64;
    Cost { bytes: states * 10.0, flops: states * 6.0 }
}

fn wkv_carry<R: Real>(args: &mut HostArgs<'_, R>) {
    let share: Share = args.params();
    let columns = share.columns as usize;
    let (w, initial) = (args.reals("w"), args.reals("initial"));
    let state = args.flag("STATE");
    let carry = args.reals_mut("carry");
    for c in 0..columns {
        let decay = decay_of(w[c % share.channels as usize]) * R::lit(share.chunk.into());
        let mut m = if state { Memory::load(initial, 0, columns, c) } else { Memory::empty() };
        for i in 0..share.chunks as usize {
            let left = Memory::load(carry, i, columns, c);
            m.store(carry, i, columns, c);
            m = m.joined(decay, &left).0;
        }
    }
}

fn wkv_carry_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let share: Share = args.params();
    let (columns, chunks) = (share.columns as usize, share.chunks as usize);
    let (chunk, steps) = (share.chunk as usize, share.steps as usize);
    let saved = args.reals("saved");
    let carry = args.reals_mut("carry");
    for c in 0..columns {
        let decay = saved[steps.div_ceil(EVERY) * 3 * columns + c] * R::lit(chunk as f64);
        let exponent = |i: usize| saved[(i * chunk / EVERY * 3 + 2) * columns + c];
        let mut g = [R::zero(); 2];
        for i in (0..chunks).rev() {
            let at = [i * columns + c, (chunks + i) * columns + c];
            let left = at.map(|at| carry[at]);
            (carry[at[0]], carry[at[1]]) = (g[0], g[1]);
            let through = if i + 1 < chunks {
                least(decay + exponent(i) - exponent(i + 1), R::zero()).exp()
            } else {
                R::zero()
            };
            g = [0, 1].map(|k| through * g[k] + left[k]);
        }
    }
}

/// Turns the memories that chunks leave into those they start from, beginning with `state`.
pub(super) fn join(cut: &Cut, w: &Tensor, state: Option<&Tensor>, carry: &Tensor) -> Result<()> {
    let launch = cut.join(carry.device(), &WKV_CARRY).params(&cut.whole());
    let launch = launch.constant("STATE", state.is_some()).bind_if("initial", state);
    launch.bind("w", w).bind("carry", carry).record()
}

/// Turns the gradients that chunks leave at their starts into those they begin with at their ends.
pub(super) fn join_backward(cut: &Cut, saved: &Tensor, carry: &Tensor) -> Result<()> {
    let launch = cut.join(carry.device(), &WKV_CARRY_BACKWARD).params(&cut.whole());
    launch.bind("saved", saved).bind("carry", carry).record()
}
