//! Tiles: some columns side by side, near the processor.
//!
//! Their loops are over the columns, long enough that the compiler keeps them as loops and takes vectors for
//! them: sixteen columns are unrolled first, and stay single numbers. What a launch has only one of, a reset
//! or a surrogate, is chosen around a loop, never in it.

use crate::recur::{Cell, Columns, Reset, Rule};

/// Columns of a tile.
pub(super) const LANES: usize = 128;

/// A number of each column of a tile.
pub(super) type Lanes = [f32; LANES];

/// Nothing of every column.
pub(super) const ZEROS: Lanes = [0.0; LANES];

/// The columns of a tile in a row.
#[inline(always)]
pub(super) fn cut<T>(row: &[T], at: usize) -> &[T] {
    &row[at..row.len().min(at + LANES)]
}

/// The same, to write.
#[inline(always)]
pub(super) fn cut_mut<T>(row: &mut [T], at: usize) -> &mut [T] {
    let end = row.len().min(at + LANES);
    &mut row[at..end]
}

/// Writes the columns of a tile to a row.
#[inline(always)]
pub(super) fn store(row: &mut [f32], at: usize, lanes: &Lanes) {
    let row = cut_mut(row, at);
    row.copy_from_slice(&lanes[..row.len()]);
}

/// Reads the columns of a tile from a row.
#[inline(always)]
pub(super) fn load(lanes: &mut Lanes, row: &[f32], at: usize) {
    let row = cut(row, at);
    lanes[..row.len()].copy_from_slice(row);
}

/// The parameters of the tiles of `width` columns.
pub(super) fn parameters<const P: usize>(
    all: &Columns<'_, f32, P>,
    first: usize,
    width: usize,
) -> Vec<[Lanes; P]> {
    let tile = |at: usize| {
        let mut tile = [ZEROS; P];
        for lane in 0..LANES.min(width - at) {
            for (row, own) in tile.iter_mut().zip(all.of(first + at + lane)) {
                row[lane] = own;
            }
        }
        tile
    };
    (0..width).step_by(LANES).map(tile).collect()
}

/// One step of the columns that have an input: the state becomes the next, `fired` whether that fires.
#[inline(always)]
pub(super) fn advance<C: Cell<S, P>, const S: usize, const P: usize>(
    rule: Rule,
    c: &[Lanes; P],
    s: &mut [Lanes; S],
    fired: &mut Lanes,
    x: &[f32],
) {
    match rule.reset {
        Reset::None => step::<C, S, P>(rule, Reset::None, c, s, fired, x),
        Reset::Subtract => step::<C, S, P>(rule, Reset::Subtract, c, s, fired, x),
        Reset::Zero => step::<C, S, P>(rule, Reset::Zero, c, s, fired, x),
    }
}

#[inline(always)]
fn step<C: Cell<S, P>, const S: usize, const P: usize>(
    rule: Rule,
    reset: Reset,
    c: &[Lanes; P],
    s: &mut [Lanes; S],
    fired: &mut Lanes,
    x: &[f32],
) {
    let n = x.len().min(LANES);
    let x = &x[..n];
    for i in 0..n {
        let next = C::advance(reset, column(c, i), column(s, i), fired[i], x[i]);
        for (row, next) in s.iter_mut().zip(next) {
            row[i] = next;
        }
        fired[i] = rule.fires(next[S - 1], c[P - 1][i]);
    }
}

/// Whether the columns of a state fire.
#[inline(always)]
pub(super) fn fires<const S: usize, const P: usize>(
    rule: Rule,
    c: &[Lanes; P],
    s: &[Lanes; S],
    fired: &mut Lanes,
) {
    for i in 0..LANES {
        fired[i] = rule.fires(s[S - 1][i], c[P - 1][i]);
    }
}

/// The numbers of one column.
#[inline(always)]
pub(super) fn column<const N: usize>(all: &[Lanes; N], i: usize) -> [f32; N] {
    let mut own = [0.0; N];
    for (own, row) in own.iter_mut().zip(all) {
        *own = row[i];
    }
    own
}
