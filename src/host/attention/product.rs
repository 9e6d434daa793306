//! Small matrix products in registers.

use crate::host::vectorised;

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

/// Work that is compiled for the widest vector instructions there are; `FUSED` says whether they
/// multiply and add at once.
pub(super) trait Vectorised {
    fn run<const FUSED: bool>(&mut self);
}

/// Runs `work`, whose `run` must be `#[inline(always)]`.
pub(super) fn vectorise(work: &mut impl Vectorised) {
    if matches!(pulp::Arch::new(), pulp::Arch::Scalar) {
        work.run::<false>();
    } else {
        vectorised(
            #[inline(always)]
            || work.run::<true>(),
        );
    }
}

/// `c += a b` for `a [m, k]`, `b [k, n]` and `c [m, n]`; n is a multiple of 4.
#[inline(always)]
pub(super) fn add_product<const FUSED: bool>(
    [m, k, n]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let mut i = 0;
    while i + TILE <= m {
        row_of_tiles::<TILE, FUSED>(i, [k, n], a, b, &mut c[i * c_stride..], c_stride);
        i += TILE;
    }
    while i < m {
        row_of_tiles::<1, FUSED>(i, [k, n], a, b, &mut c[i * c_stride..], c_stride);
        i += 1;
    }
}

#[inline(always)]
fn row_of_tiles<const M: usize, const FUSED: bool>(
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
        tile::<M, LANES, FUSED>(rows, k, j, b, c, c_stride);
        j += LANES;
    }
    while j + 8 <= n {
        tile::<M, 8, FUSED>(rows, k, j, b, c, c_stride);
        j += 8;
    }
    while j + 4 <= n {
        tile::<M, 4, FUSED>(rows, k, j, b, c, c_stride);
        j += 4;
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "plain loops over the tile are what vectorises")]
fn tile<const M: usize, const N: usize, const FUSED: bool>(
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
                sums[i][j] = multiply_add::<FUSED>(x, row[j], sums[i][j]);
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

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
