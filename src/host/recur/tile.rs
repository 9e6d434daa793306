//! Tiles: some columns side by side, on the stack.

use crate::recur::{Cell, Columns, Rule};

/// Columns of a tile.
pub(super) const LANES: usize = 16;

/// A number of each column of a tile.
pub(super) type Lanes = [f32; LANES];

/// Those of a row from `at` on, 0 beyond its end.
#[inline(always)]
pub(super) fn load(row: &[f32], at: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    match row.get(at..at + LANES) {
        Some(whole) => lanes.copy_from_slice(whole),
        None => {
            let rest = &row[at.min(row.len())..];
            lanes[..rest.len()].copy_from_slice(rest);
        }
    }
    lanes
}

/// Writes them to a row, as far as it goes.
#[inline(always)]
pub(super) fn store(row: &mut [f32], at: usize, lanes: &Lanes) {
    match row.get_mut(at..at + LANES) {
        Some(whole) => whole.copy_from_slice(lanes),
        None => {
            let rest = &mut row[at..];
            let count = rest.len();
            rest.copy_from_slice(&lanes[..count]);
        }
    }
}

/// The parameters of the tiles of `width` columns.
pub(super) fn parameters<const P: usize>(
    all: &Columns<'_, f32, P>,
    first: usize,
    width: usize,
) -> Vec<[Lanes; P]> {
    let tile = |at: usize| {
        let mut tile = [[0.0; LANES]; P];
        (0..LANES.min(width - at)).for_each(|lane| {
            let own = all.of(first + at + lane);
            (0..P).for_each(|k| tile[k][lane] = own[k]);
        });
        tile
    };
    (0..width).step_by(LANES).map(tile).collect()
}

/// One step of a tile: the state becomes the next.
#[inline(always)]
pub(super) fn advance<C: Cell<S, P>, const S: usize, const P: usize>(
    rule: Rule,
    c: &[Lanes; P],
    s: &mut [Lanes; S],
    fired: &Lanes,
    x: &Lanes,
) {
    for i in 0..LANES {
        let (own, before) = (column(c, i), column(s, i));
        let next = C::advance(rule.reset, own, before, fired[i], x[i]);
        (0..S).for_each(|k| s[k][i] = next[k]);
    }
}

/// Whether the columns of a state fire.
#[inline(always)]
pub(super) fn fires<const S: usize, const P: usize>(
    rule: Rule,
    c: &[Lanes; P],
    s: &[Lanes; S],
) -> Lanes {
    std::array::from_fn(|i| rule.fires(s[S - 1][i], c[P - 1][i]))
}

/// The numbers of one column.
#[inline(always)]
pub(super) fn column<const N: usize>(all: &[Lanes; N], i: usize) -> [f32; N] {
    std::array::from_fn(|k| all[k][i])
}
