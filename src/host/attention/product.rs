//! Small matrix products in registers.

use crate::host::{Simd, multiply_add};

/// Columns of a tile; the sides of rows of scores are padded to it.
pub(super) const LANES: usize = 16;
/// Rows of a tile.
const TILE: usize = 4;

/// `n` rounded up to whole tiles.
pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// A row-major matrix: its elements from the first on, and from row to row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

/// `c += a b` for `a [m, k]`, `b [k, n]` and `c [m, n]`; n is a multiple of 4.
#[inline(always)]
pub(super) fn add_product<S: Simd>(
    [m, k, n]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let mut i = 0;
    while i + TILE <= m {
        row_of_tiles::<S, TILE>(i, [k, n], a, b, &mut c[i * c_stride..], c_stride);
        i += TILE;
    }
    while i < m {
        row_of_tiles::<S, 1>(i, [k, n], a, b, &mut c[i * c_stride..], c_stride);
        i += 1;
    }
}

#[inline(always)]
fn row_of_tiles<S: Simd, const M: usize>(
    first: usize,
    [k, n]: [usize; 2],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let rows: [&[f32]; M] = std::array::from_fn(|i| &a.data[(first + i) * a.stride..][..k]);
    let mut j = 0;
    while j + LANES <= n {
        tile::<S, M, LANES>(rows, k, j, b, c, c_stride);
        j += LANES;
    }
    while j + 8 <= n {
        tile::<S, M, 8>(rows, k, j, b, c, c_stride);
        j += 8;
    }
    while j + 4 <= n {
        tile::<S, M, 4>(rows, k, j, b, c, c_stride);
        j += 4;
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain loops over the tile are what vectorises")]
fn tile<S: Simd, const M: usize, const N: usize>(
    a: [&[f32]; M],
    k: usize,
    column: usize,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let mut sums = [[0.0; N]; M];
    for l in 0..k {
        let Some(row) = b.data[l * b.stride + column..].first_chunk::<N>() else { return };
        for i in 0..M {
            let x = a[i][l];
            for j in 0..N {
                sums[i][j] = multiply_add::<S>(x, row[j], sums[i][j]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let row = &mut c[i * c_stride + column..][..N];
        for (c, sum) in row.iter_mut().zip(sums) {
            *c += *sum;
        }
    }
}
