//! Matrix products by the gemm library.

pub(crate) use gemm_common::Parallelism;

/// `c = keep c + take a b` for `a [m, k]`, `b [k, n]` and a row-major `c [m, n]`, taken as 0 if it is not
/// `read`. Strides are those from column to column and from row to row; rows of c are `c_row` apart.
///
/// # Safety
/// Every element that these sizes and strides name can be read, those of c written, by nobody else.
#[expect(clippy::too_many_arguments, reason = "those of the library")]
pub(crate) unsafe fn gemm(
    [m, n, k]: [usize; 3],
    c: *mut f32,
    c_row: isize,
    read: bool,
    a: *const f32,
    [a_column, a_row]: [isize; 2],
    b: *const f32,
    [b_column, b_row]: [isize; 2],
    [keep, take]: [f32; 2],
    parallelism: Parallelism,
) {
    let product = gemm_f32::gemm::f32::get_gemm_fn();
    // The library's kernels write columns: they are given c^T = b^T a^T.
    // SAFETY: what the caller promises.
    unsafe {
        product(
            n,
            m,
            k,
            c,
            c_row,
            1,
            read,
            b,
            b_row,
            b_column,
            a,
            a_row,
            a_column,
            keep,
            take,
            false,
            false,
            false,
            parallelism,
        );
    }
}
