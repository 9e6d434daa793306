//! The backward launch of WKV.

use super::memory::{EVERY, Memory};
use super::params::{Share, emits};
use super::plan::{Cut, WALKS};
use super::wkv_carry;
use crate::host::{self, HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::tape::Backward;
use crate::{DType, Result, Tensor, kernel, layout, reduce};

kernel! {
    /// `gk`, `gv`, `gw`, `gu`, from the last step to the first
    pub(super) static WKV_BACKWARD = "scan/wkv_backward";
    params = Share;
    oracle = wkv_backward;
    host = host::scan::wkv_backward;
    variants = WALKS;
    cost = cost;
    iterations = |args| args.params::<Share>().iterations(args, 28, 64);
}

/// k, v, gy, gk, gv and what forward saved.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<Share>().fraction();
    let moved = ["k", "v", "gy", "saved", "gk", "gv"].map(|name| args.words_of(name));
    let bytes = (moved.iter().sum::<u64>() as f64 * share + args.words_of("sums") as f64) * 4.0;
    Cost { bytes, flops: args.words_of("k") as f64 * share * 56.0 }
}

fn wkv_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let share: Share = args.params();
    let columns = share.columns as usize;
    let items = columns * share.chunks as usize;
    let (given, more, emit) = (args.flag("CARRY"), args.flag("MORE"), args.flag("EMIT"));
    let [k, v, gy, saved] = ["k", "v", "gy", "saved"].map(|name| args.reals(name));
    let [gk, gv, carry, sums] = ["gk", "gv", "carry", "sums"].map(|name| args.reals_mut(name));
    let constants = 3 * (share.steps as usize).div_ceil(EVERY) * columns;
    for (chunk, c, steps) in share.walks() {
        let (decay, bonus) = (saved[constants + c], saved[constants + columns + c]);
        let at = chunk * columns + c;
        // The memory before each step.
        let mut memories = Vec::with_capacity(steps.len());
        let mut m = Memory::empty();
        for t in steps.clone() {
            if t % EVERY == 0 {
                m = Memory::load(saved, t / EVERY, columns, c);
            }
            memories.push(m);
            m = m.step(decay, k[t * columns + c], v[t * columns + c]).0;
        }
        let (mut gp, mut gq) = (R::zero(), R::zero());
        if given {
            (gp, gq) = (carry[at], carry[items + at]);
        }
        let (mut gdecay, mut gbonus) = (R::zero(), R::zero());
        for (t, m) in steps.zip(&memories).rev() {
            let i = t * columns + c;
            let (y, out) = m.average(bonus, k[i], v[i]);
            let (_, into) = m.step(decay, k[i], v[i]);
            let moved = out.1 * gy[i] * (v[i] - y);
            if emit {
                gk[i] = moved + into.1 * (v[i] * gp + gq);
                gv[i] = out.1 * gy[i] + into.1 * gp;
            }
            gbonus += moved;
            if m.q != R::zero() {
                gdecay += into.0 * (m.p * gp + m.q * gq);
            }
            let through = out.0 * gy[i];
            gp = into.0 * gp + through;
            gq = into.0 * gq - through * y;
        }
        (carry[at], carry[items + at]) = (gp, gq);
        if emit {
            let before = if more { [sums[at], sums[items + at]] } else { [R::zero(); 2] };
            sums[at] = decay * gdecay + before[0];
            sums[items + at] = gbonus + before[1];
        }
    }
}

/// The inputs of the node.
const K: usize = 0;
const V: usize = 1;
const W: usize = 2;
const U: usize = 3;

/// What a launch writes.
struct Outputs<'a> {
    /// `gk`, `gv` and the sums, where it is no search for what goes from chunk to chunk.
    gradients: Option<[&'a Tensor; 3]>,
    carry: &'a Tensor,
    /// Whether `carry` holds anything.
    given: bool,
    /// Whether the sums do.
    more: bool,
}

/// What backward needs.
pub(super) struct Saved {
    pub(super) cut: Cut,
    /// The memories of every eighth step, and w' and u of every column.
    pub(super) memories: Tensor,
    pub(super) k: Tensor,
    pub(super) v: Tensor,
}

impl Saved {
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(gy) = bw.upstream(0).cloned() else { return Ok(()) };
        let device = gy.device();
        let cut = &self.cut;
        let gk = Tensor::empty(device, *gy.shape(), DType::F32)?;
        let gv = Tensor::empty(device, *gy.shape(), DType::F32)?;
        let states = [2, cut.chunks, cut.columns];
        let sums = Tensor::empty(device, states, DType::F32)?;
        let carry = if cut.is_chunked() {
            let carry = Tensor::empty(device, states, DType::F32)?;
            let to = Outputs { gradients: None, carry: &carry, given: false, more: false };
            self.walk(&gy, cut.whole(), &to)?;
            wkv_carry::join_backward(cut, &self.memories, &carry)?;
            carry
        } else {
            Tensor::empty(device, states, DType::F32)?
        };
        for (i, share) in cut.shares().into_iter().rev().enumerate() {
            let (given, more) = (cut.is_chunked() || i > 0, i > 0);
            let gradients = Some([&gk, &gv, &sums]);
            self.walk(&gy, share, &Outputs { gradients, carry: &carry, given, more })?;
        }
        bw.give(K, gk);
        bw.give(V, gv);
        if bw.needs(W) || bw.needs(U) {
            let rows = cut.chunks * cut.columns / cut.channels;
            let sums = reduce::sum(&sums.reshape([2, rows, cut.channels])?, &[1], false)?;
            for (row, input) in [W, U].into_iter().enumerate() {
                if bw.needs(input) {
                    let part = layout::slice(&sums, &[row..row + 1, 0..cut.channels])?;
                    bw.give(input, part.reshape([cut.channels])?);
                }
            }
        }
        Ok(())
    }

    fn walk(&self, gy: &Tensor, share: Share, to: &Outputs<'_>) -> Result<()> {
        let launch = self.cut.walk(gy.device(), &WKV_BACKWARD).params(&share);
        launch
            .constant("CARRY", to.given)
            .constant("MORE", to.more)
            .constant("EMIT", to.gradients.is_some())
            .bind("k", &self.k)
            .bind("v", &self.v)
            .bind("gy", gy)
            .bind("saved", &self.memories)
            .bind_if("gk", to.gradients.map(|g| g[0]))
            .bind_if("gv", to.gradients.map(|g| g[1]))
            .bind("carry", to.carry)
            .bind_if("sums", to.gradients.map(|g| g[2]))
            .record()
    }
}
