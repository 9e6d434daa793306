//! The forward launch of WKV.

use super::memory::{EVERY, Memory, decay_of, state_shape};
use super::params::{Share, emits};
use super::plan::{Cut, WALKS};
use super::wkv_carry;
use crate::host::{self, HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `y[t]`, the weighted average of the values so far
    pub(super) static WKV = "scan/wkv";
    params = Share;
    oracle = wkv;
    host = host::scan::wkv;
    variants = WALKS;
    cost = cost;
    iterations = |args| args.params::<Share>().iterations(args, 1 + LOOPS as u64, LOOPS as u64);
}

/// Iterations of the shader's loops for eight steps where keys lie far apart.
const LOOPS: usize = 9;

/// Keys, values and averages once, and what is saved.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<Share>().fraction();
    let moved: u64 = ["k", "v", "y", "saved"].map(|name| args.words_of(name)).iter().sum();
    let bytes = (moved as f64 * share + args.words_of("last") as f64) * 4.0;
    // An exponential counts as eight operations.
    Cost { bytes, flops: args.words_of("k") as f64 * share * 32.0 }
}

fn wkv<R: Real>(args: &mut HostArgs<'_, R>) {
    let share: Share = args.params();
    let (columns, channels) = (share.columns as usize, share.channels as usize);
    let (state, emit, save) = (args.flag("STATE"), args.flag("EMIT"), args.flag("SAVE"));
    let [k, v, w, u, starts] = ["k", "v", "w", "u", "starts"].map(|name| args.reals(name));
    let [y, saved, last] = ["y", "saved", "last"].map(|name| args.reals_mut(name));
    for (chunk, c, steps) in share.walks() {
        let (decay, bonus) = (decay_of(w[c % channels]), u[c % channels]);
        let end = steps.end;
        let mut m = if state { Memory::load(starts, chunk, columns, c) } else { Memory::empty() };
        for t in steps {
            let i = t * columns + c;
            if save && t % EVERY == 0 {
                m.store(saved, t / EVERY, columns, c);
            }
            if emit {
                y[i] = m.average(bonus, k[i], v[i]).0;
            }
            m = m.step(decay, k[i], v[i]).0;
        }
        if save {
            let rows = 3 * (share.steps as usize).div_ceil(EVERY);
            saved[rows * columns + c] = decay;
            saved[(rows + 1) * columns + c] = bonus;
        }
        if !emit {
            m.store(last, chunk, columns, c);
        } else if share.is_last(end) {
            m.store(last, 0, columns, c);
        }
    }
}

/// What the forward launches wrote.
pub(super) struct Forward {
    pub(super) y: Tensor,
    pub(super) last: Tensor,
    pub(super) saved: Option<Tensor>,
}

/// What a launch reads besides k, v, w and u, and what it writes.
struct Bindings<'a> {
    starts: Option<&'a Tensor>,
    y: Option<&'a Tensor>,
    saved: Option<&'a Tensor>,
    last: &'a Tensor,
}

/// Runs the scan; `keep` says whether backward will follow.
pub(super) fn run(
    cut: &Cut,
    inputs: [&Tensor; 4],
    state: Option<&Tensor>,
    keep: bool,
) -> Result<Forward> {
    let [k, _, w, _] = inputs;
    let device = k.device();
    let step = &k.shape().dims()[1..];
    let mut starts = if cut.is_chunked() {
        let carry = Tensor::empty(device, [cut.chunks, 3, cut.columns], DType::F32)?;
        let to = Bindings { starts: None, y: None, saved: None, last: &carry };
        walk(cut, cut.whole(), inputs, &to)?;
        wkv_carry::join(cut, w, state, &carry)?;
        Some(carry)
    } else {
        state.cloned()
    };
    let y = Tensor::empty(device, *k.shape(), DType::F32)?;
    let shape = state_shape(step)?;
    let mut last = Tensor::empty(device, shape, DType::F32)?;
    let saved = if keep {
        let rows = 3 * cut.steps.div_ceil(EVERY) + 2;
        Some(Tensor::empty(device, [rows, cut.columns], DType::F32)?)
    } else {
        None
    };
    for (i, share) in cut.forward_shares(LOOPS).into_iter().enumerate() {
        if i > 0 {
            starts = Some(std::mem::replace(&mut last, Tensor::empty(device, shape, DType::F32)?));
        }
        let (starts, saved) = (starts.as_ref(), saved.as_ref());
        let to = Bindings { starts, y: Some(&y), saved, last: &last };
        walk(cut, share, inputs, &to)?;
    }
    Ok(Forward { y, last, saved })
}

fn walk(cut: &Cut, share: Share, [k, v, w, u]: [&Tensor; 4], to: &Bindings<'_>) -> Result<()> {
    let launch = cut.walk(k.device(), &WKV).params(&share);
    launch
        .constant("STATE", to.starts.is_some())
        .constant("EMIT", to.y.is_some())
        .constant("SAVE", to.saved.is_some())
        .bind("k", k)
        .bind("v", v)
        .bind("w", w)
        .bind("u", u)
        .bind_if("starts", to.starts)
        .bind_if("y", to.y)
        .bind_if("saved", to.saved)
        .bind("last", to.last)
        .record()
}
