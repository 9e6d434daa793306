//! What the loops over pairs share: transposed rows, the keys that a block of queries sees.

use super::orders::{Order, Orders};
use super::product::{LANES, Matrix, add_product, padded};
use crate::host::parallel::*;
use crate::host::{Real, all_finite};
use std::ops::Range;

/// Rows that are computed together.
pub(super) const BLOCK: usize = 8;
/// Rows of a task: fewer are not worth a thread.
pub(super) const TASK: usize = 64;

/// Compact rows with their channels outermost, `[B, H, channels, stride]`: the columns of a product.
#[derive(Debug)]
pub(super) struct Turned<R> {
    data: Vec<R>,
    size: usize,
    pub(super) stride: usize,
}

impl<R: Real> Turned<R> {
    /// Of compact rows `x`, the first `count(bh)` of each head; zero beyond.
    pub(super) fn new(orders: &Orders<'_>, x: &[R], count: impl Fn(usize) -> usize + Sync) -> Self {
        let (steps, channels) = (orders.p.steps as usize, orders.p.stride());
        // A padded range of columns may end so far beyond the last row.
        let stride = padded(steps) + LANES;
        let size = channels * stride;
        let mut data = vec![R::zero(); orders.p.all_heads() * size];
        data.par_chunks_mut(size).zip(x.par_chunks(steps * channels)).enumerate().for_each(
            |(bh, (turned, x))| {
                let rows = &x[..count(bh) * channels];
                for (block, rows) in rows.chunks(LANES * channels).enumerate() {
                    for (c, turned) in turned.chunks_exact_mut(stride).enumerate() {
                        let column = rows.iter().skip(c).step_by(channels);
                        let turned = &mut turned[block * LANES..];
                        turned.iter_mut().zip(column).for_each(|(t, x)| *t = *x);
                    }
                }
            },
        );
        Self { data, size, stride }
    }

    /// Of head `bh`, from column `first` on.
    #[inline(always)]
    pub(super) fn from(&self, bh: usize, first: usize) -> &[R] {
        &self.data[bh * self.size + first..(bh + 1) * self.size]
    }
}

/// The keys that a block of queries sees, in two parts: the anchors before every window, and those
/// from the first window's start to the last one's end. Scores lie side by side in rows of `stride`,
/// each part padded.
#[derive(Debug)]
pub(super) struct Seen {
    /// The first key of each part, and their number.
    pub(super) parts: [(usize, usize); 2],
    /// Where the scores of the second part start, and the row's length.
    pub(super) second: usize,
    pub(super) stride: usize,
    /// Of each query: [low, high) of its window.
    windows: [(usize, usize); BLOCK],
    anchors: usize,
}

impl Seen {
    /// Of queries `rows`, at most [`BLOCK`] of them.
    #[inline(always)]
    pub(super) fn new(orders: &Orders<'_>, bh: usize, rows: Range<usize>) -> Self {
        let (keys, queries) = (orders.keys(bh), orders.queries(bh));
        let anchors = orders.anchors(bh);
        let mut windows = [(0, 0); BLOCK];
        let count = rows.len();
        for (window, row) in windows.iter_mut().zip(rows) {
            let i = queries.position(row);
            *window = (keys.before(i.saturating_sub(orders.p.window as usize)), keys.before(i + 1));
        }
        let (near, end) = (windows[0].0, windows[count.max(1) - 1].1);
        let before = anchors.min(near);
        let second = padded(before);
        let stride = second + padded(end - near);
        Self { parts: [(0, before), (near, end - near)], second, stride, windows, anchors }
    }

    /// The columns of query `i` of the block: three stretches, in order.
    #[inline(always)]
    pub(super) fn columns(&self, i: usize) -> [Range<usize>; 3] {
        let [(_, before), (near, _)] = self.parts;
        let (low, high) = self.windows[i];
        let at = |key: usize| self.second + key - near;
        [0..before, at(near)..at(self.anchors.min(low).max(near)), at(low)..at(high)]
    }

    /// Where the scores of each part start in a row.
    #[inline(always)]
    pub(super) fn starts(&self) -> [usize; 2] {
        [0, self.second]
    }

    /// Adds to the sums of each query, of `x.width` channels, its weights times rows of `x`.
    #[inline(always)]
    pub(super) fn add_rows<R: Real, const FUSED: bool>(
        &self,
        weights: &[R],
        x: Rows<'_, R>,
        sums: &mut [R],
    ) {
        let d = x.width;
        if !x.finite {
            for (i, sum) in sums.chunks_exact_mut(d).enumerate() {
                let weights = &weights[i * self.stride..][..self.stride];
                for range in self.columns(i) {
                    let first = match range.start.checked_sub(self.second) {
                        Some(beyond) => self.parts[1].0 + beyond,
                        None => range.start,
                    };
                    x.add_stretch::<FUSED>(first, &weights[range], sum);
                }
            }
            return;
        }
        for ((key, count), start) in self.parts.into_iter().zip(self.starts()) {
            let data = &weights[start.min(weights.len())..];
            let weights = Matrix { data, stride: self.stride };
            let rows = Matrix { data: &x.data[key * d..], stride: d };
            add_product::<R, FUSED>([sums.len() / d, count, d], weights, rows, sums, d);
        }
    }
}

/// Compact rows of a head that are added up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a, R> {
    pub(super) data: &'a [R],
    /// Channels of a row.
    pub(super) width: usize,
    /// Whether all numbers are finite: if not, a weight of zero does not take a row out.
    pub(super) finite: bool,
}

impl<'a, R: Real> Rows<'a, R> {
    /// `data`, of which `count` rows are open.
    pub(super) fn new(data: &'a [R], width: usize, count: usize) -> Self {
        Self { data, width, finite: all_finite(&data[..count * width]) }
    }

    /// Adds `weights` times the rows from `first` on to one sum.
    #[inline(always)]
    pub(super) fn add_stretch<const FUSED: bool>(self, first: usize, weights: &[R], sum: &mut [R]) {
        let d = self.width;
        let size = [1, weights.len(), d];
        let rows = Matrix { data: &self.data[first * d..], stride: d };
        let weights = Matrix { data: weights, stride: weights.len() };
        add_product::<R, FUSED>(size, weights, rows, sum, d);
    }
}

/// Zeroes what lies outside `columns`, which are in order.
#[inline(always)]
pub(super) fn clear_between<R: Real>(row: &mut [R], columns: &[Range<usize>]) {
    let mut at = 0;
    for range in columns {
        row[at..range.start].fill(R::zero());
        at = range.end;
    }
    row[at..].fill(R::zero());
}

/// The queries that see key row `row`.
#[inline(always)]
pub(super) fn readers(
    orders: &Orders<'_>,
    keys: Order<'_>,
    queries: Order<'_>,
    row: usize,
    segment: Option<usize>,
) -> Range<usize> {
    let (p, j, count) = (&orders.p, keys.position(row), queries.count());
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
