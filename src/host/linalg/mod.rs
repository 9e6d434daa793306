//! Matrix products on the host: the GEMM crate does the work.

mod products;

pub(crate) use products::{bits_matmul, bits_matmul_tn, matmul, matmul_naive};

use super::gemm;
use super::parallel::*;

/// Below this many multiplications a product runs on one thread.
const PARALLEL_PRODUCTS: usize = 1 << 18;

/// A matrix as the GEMM crate takes it: elements from row to row and from column to column.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a> View<'a> {
    /// The matrix `rows` x `cols`, stored row-major, or its transpose so.
    pub(crate) fn new(data: &'a [f32], rows: usize, cols: usize, transposed: bool) -> Self {
        Self { data, rows, cols, transposed }
    }

    fn strides(&self) -> (isize, isize) {
        if self.transposed { (1, self.rows as isize) } else { (self.cols as isize, 1) }
    }

    /// Its elements are exactly `data`.
    fn fits(&self) -> bool {
        self.data.len() == self.rows * self.cols
    }
}

/// `c = a b`, or `c += a b` if `add`; c is row-major.
pub(crate) fn multiply(a: View<'_>, b: View<'_>, c: &mut [f32], add: bool) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert!(a.fits() && b.fits() && b.rows == k && c.len() == m * n, "sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let many = m * n * k >= PARALLEL_PRODUCTS;
    let ((a_row, a_col), (b_row, b_col)) = (a.strides(), b.strides());
    // SAFETY: the sizes were checked above: with these strides every element that is read or written
    // lies in its slice, and `c` is borrowed for writing.
    product(many, |parallelism| unsafe {
        gemm(
            [m, n, k],
            c.as_mut_ptr(),
            n as isize,
            add,
            a.data.as_ptr(),
            [a_col, a_row],
            b.data.as_ptr(),
            [b_col, b_row],
            [1.0; 2],
            parallelism,
        );
    });
}
