//! What the loops over pairs share: transposed rows, the keys that a block of queries sees.

use super::product::{LANES, Matrix, add_product, padded};
use crate::attention::orders::Orders;
use crate::host::parallel::*;
use crate::host::{Simd, all_finite};
use std::ops::Range;

/// Rows that are computed together.
pub(super) const BLOCK: usize = 8;
/// Rows of a task: fewer are not worth a thread.
pub(super) const TASK: usize = 64;

/// Compact rows with their channels outermost, `[B, H, channels, stride]`: the columns of a product.
#[derive(Debug)]
pub(super) struct Turned {
    data: Vec<f32>,
    size: usize,
    pub(super) stride: usize,
}

impl Turned {
    /// Of compact rows `x`, the first `count(bh)` of each head; zero beyond.
    pub(super) fn new(
        orders: &Orders<'_>,
        x: &[f32],
        count: impl Fn(usize) -> usize + Sync,
    ) -> Self {
        let (steps, channels) = (orders.p.steps as usize, orders.p.stride());
        // A padded range of columns may end so far beyond the last row.
        let stride = padded(steps) + LANES;
        let size = channels * stride;
        let mut data = vec![0.0; orders.p.all_heads() * size];
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
    pub(super) fn from(&self, bh: usize, first: usize) -> &[f32] {
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
    pub(super) fn add_rows<S: Simd>(&self, weights: &[f32], x: Rows<'_>, sums: &mut [f32]) {
        let d = x.width;
        if !x.finite {
            for (i, sum) in sums.chunks_exact_mut(d).enumerate() {
                let weights = &weights[i * self.stride..][..self.stride];
                for range in self.columns(i) {
                    let first = match range.start.checked_sub(self.second) {
                        Some(beyond) => self.parts[1].0 + beyond,
                        None => range.start,
                    };
                    x.add_stretch::<S>(first, &weights[range], sum);
                }
            }
            return;
        }
        for ((key, count), start) in self.parts.into_iter().zip(self.starts()) {
            let data = &weights[start.min(weights.len())..];
            let weights = Matrix { data, stride: self.stride };
            let rows = Matrix { data: &x.data[key * d..], stride: d };
            add_product::<S>([sums.len() / d, count, d], weights, rows, sums, d);
        }
    }
}

/// Compact rows of a head that are added up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    /// Channels of a row.
    pub(super) width: usize,
    /// Whether all numbers are finite: if not, a weight of zero does not take a row out.
    pub(super) finite: bool,
}

impl<'a> Rows<'a> {
    /// `data`, of which `count` rows are open.
    pub(super) fn new(data: &'a [f32], width: usize, count: usize) -> Self {
        Self { data, width, finite: all_finite(&data[..count * width]) }
    }

    /// Adds `weights` times the rows from `first` on to one sum.
    #[inline(always)]
    pub(super) fn add_stretch<S: Simd>(self, first: usize, weights: &[f32], sum: &mut [f32]) {
        let d = self.width;
        let size = [1, weights.len(), d];
        let rows = Matrix { data: &self.data[first * d..], stride: d };
        let weights = Matrix { data: weights, stride: weights.len() };
        add_product::<S>(size, weights, rows, sum, d);
    }
}

/// Zeroes what lies outside `columns`, which are in order.
#[inline(always)]
pub(super) fn clear_between(row: &mut [f32], columns: &[Range<usize>]) {
    let mut at = 0;
    for range in columns {
        row[at..range.start].fill(0.0);
        at = range.end;
    }
    row[at..].fill(0.0);
}
