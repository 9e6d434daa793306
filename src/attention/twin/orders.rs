//! Gates and the lists of open positions.

use crate::attention::gate::Params as GateParams;
use crate::attention::geometry::Geometry;
use crate::attention::order::Params as OrderParams;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

/// The order of one group: what is open, in compact rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order<'a> {
    /// Every position of so many.
    All(usize),
    /// The open positions before each, and the positions of the rows.
    Listed { rank: &'a [u32], index: &'a [u32] },
}

impl Order<'_> {
    /// The open positions before `position`.
    pub(super) fn before(&self, position: usize) -> usize {
        match self {
            Order::All(steps) => position.min(*steps),
            Order::Listed { rank, index } => rank[position.min(index.len())] as usize,
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.before(usize::MAX)
    }

    /// The position of row `r`; of those above the count, the silent ones.
    pub(super) fn position(&self, r: usize) -> usize {
        match self {
            Order::All(_) => r,
            Order::Listed { index, .. } => index[r] as usize,
        }
    }
}

/// The orders of all heads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders<'a> {
    pub(super) p: Geometry,
    order: &'a [u32],
}

impl<'a> Orders<'a> {
    pub(super) fn new<R: Real>(args: &HostArgs<'a, R>) -> Self {
        Self { p: args.params(), order: args.words("order") }
    }

    pub(super) fn keys(&self, bh: usize) -> Order<'a> {
        self.listed(0, self.p.key_groups, bh)
    }

    pub(super) fn queries(&self, bh: usize) -> Order<'a> {
        match self.p.query_groups {
            0 => Order::All(self.p.steps as usize),
            groups => self.listed(self.p.query_base, groups, bh),
        }
    }

    fn listed(&self, base: u32, groups: u32, bh: usize) -> Order<'a> {
        let (heads, groups, steps) =
            (self.p.heads as usize, groups as usize, self.p.steps as usize);
        let group = base as usize + bh / heads * groups + bh % heads % groups;
        let row = &self.order[group * (2 * steps + 1)..][..2 * steps + 1];
        let (rank, index) = row.split_at(steps + 1);
        Order::Listed { rank, index }
    }

    /// The rows of anchors among the keys of a head.
    pub(super) fn anchors(&self, bh: usize) -> usize {
        self.keys(bh).before(self.p.anchors as usize)
    }
}

pub(in crate::attention) fn spike_gate<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: GateParams = args.params();
    let [batch, channels, groups] = [p.batch, p.channels, p.groups].map(|n| n as usize);
    let width = channels / groups;
    let row = batch * groups;
    let gate = args.words_mut("gate");
    if !args.when("BITS") {
        let spikes = args.reals("spikes");
        gate.par_iter_mut().enumerate().for_each(|(i, gate)| {
            // Position and batch row are one axis; so are they and the groups.
            let spikes = &spikes[i * width..][..width];
            let count = spikes.iter().filter(|x| **x > R::zero()).count();
            *gate = u32::from(count >= p.least as usize);
        });
        return;
    }
    let spikes = args.words("spikes");
    gate.par_chunks_mut(32 * row).enumerate().for_each(|(word, gate)| {
        for g in 0..row {
            let words = &spikes[word * batch * channels + g * width..][..width];
            let counts = spikes_of_steps(words);
            for (gate, count) in gate.iter_mut().skip(g).step_by(row).zip(counts) {
                *gate = u32::from(count >= p.least);
            }
        }
    });
}

/// The spikes of each of 32 steps.
fn spikes_of_steps(words: &[u32]) -> [u32; 32] {
    let mut counts = [0; 32];
    for word in words {
        for (t, count) in counts.iter_mut().enumerate() {
            *count += word >> t & 1;
        }
    }
    counts
}

pub(in crate::attention) fn gate_order<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: OrderParams = args.params();
    let [steps, groups, base] = [p.steps, p.groups, p.base].map(|n| n as usize);
    let row = 2 * steps + 1;
    let order = &mut args.words_mut("order")[base * row..][..groups * row];
    let write = |is_open: &(dyn Fn(usize) -> bool + Sync), order: &mut [u32]| {
        order.par_chunks_mut(row).enumerate().for_each(|(g, order)| {
            list(steps, |s| is_open(s * groups + g), order);
        });
    };
    if args.when("REAL") {
        let gate = args.reals("gate");
        write(&|i| gate[i] != R::zero(), order);
    } else {
        let gate = args.words("gate");
        write(&|i| gate[i] != 0, order);
    }
}

/// Writes rank and index of one group.
fn list(steps: usize, is_open: impl Fn(usize) -> bool, order: &mut [u32]) {
    let (rank, index) = order.split_at_mut(steps + 1);
    let mut open = 0;
    for (s, rank) in rank.iter_mut().enumerate() {
        *rank = open as u32;
        if s < steps && is_open(s) {
            index[open] = s as u32;
            open += 1;
        }
    }
    let silent = (0..steps).filter(|s| !is_open(*s));
    for (index, s) in index[open..].iter_mut().zip(silent) {
        *index = s as u32;
    }
}
