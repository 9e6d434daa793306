//! Which positions are open, as CPU code reads it.

use super::geometry::Geometry;
use crate::host::{HostArgs, Real};
use std::ops::Range;

/// The order of one group: what is open, in compact rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order<'a> {
    /// Every position of so many.
    All(usize),
    /// The open positions before each, and the positions of the rows.
    Listed { rank: &'a [u32], index: &'a [u32] },
}

impl Order<'_> {
    /// The open positions before `position`.
    pub(crate) fn before(&self, position: usize) -> usize {
        match self {
            Order::All(steps) => position.min(*steps),
            Order::Listed { rank, index } => rank[position.min(index.len())] as usize,
        }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.before(usize::MAX)
    }

    /// The position of row `r`; of those above the count, the silent ones.
    pub(crate) fn position(&self, r: usize) -> usize {
        match self {
            Order::All(_) => r,
            Order::Listed { index, .. } => index[r] as usize,
        }
    }
}

/// The orders of all heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders<'a> {
    pub(crate) p: Geometry,
    order: &'a [u32],
}

impl<'a> Orders<'a> {
    pub(crate) fn new<R: Real>(args: &HostArgs<'a, R>) -> Self {
        Self { p: args.params(), order: args.words("order") }
    }

    pub(crate) fn keys(&self, bh: usize) -> Order<'a> {
        self.listed(0, self.p.key_groups, bh)
    }

    pub(crate) fn queries(&self, bh: usize) -> Order<'a> {
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
    pub(crate) fn anchors(&self, bh: usize) -> usize {
        self.keys(bh).before(self.p.anchors as usize)
    }

    /// The queries that see key row `row` of a head within its window, or, of an anchor that is split, a
    /// segment of those beyond.
    pub(crate) fn readers(&self, bh: usize, row: usize, segment: Option<usize>) -> Range<usize> {
        let (p, keys, queries) = (&self.p, self.keys(bh), self.queries(bh));
        let (j, count) = (keys.position(row), queries.count());
        let beyond = queries.before(j + p.window as usize + 1);
        match segment {
            Some(segment) => {
                let stretch = count.div_ceil(p.segments as usize);
                let end = ((segment + 1) * stretch).min(count);
                (segment * stretch).max(beyond).min(end)..end
            }
            None if p.segments == 0 && j < p.anchors as usize => queries.before(j)..count,
            None => queries.before(j)..beyond,
        }
    }

    /// The rows of the keys that query row `row` of a head sees.
    pub(super) fn seen(&self, bh: usize, row: usize) -> impl Iterator<Item = usize> + Clone {
        let (keys, i) = (self.keys(bh), self.queries(bh).position(row));
        let [window, anchors] = [self.p.window, self.p.anchors].map(|n| n as usize);
        let before = keys.before(i + 1);
        (0..before).filter(move |key| {
            let j = keys.position(*key);
            i - j <= window || j < anchors
        })
    }
}

/// The inner product of two rows.
pub(super) fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    a.iter().zip(b).map(|(a, b)| *a * *b).sum()
}

/// `y += factor x`
pub(super) fn add<R: Real>(y: &mut [R], factor: R, x: &[R]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * *x);
}
