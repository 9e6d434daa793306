//! Matrix products by the gemm library.

use super::{Ranged, Real};
use std::any::TypeId;

/// `c = keep c + take a b` for `a [m, k]` and `b [k, n]`, with c taken as 0 if it is not `read`:
/// [`gemm::gemm`], which knows f32 and f64, in every precision of the twins. Strides are those from
/// column to column and from row to row.
///
/// # Safety
/// That of [`gemm::gemm`].
#[expect(clippy::too_many_arguments, reason = "those of the library")]
pub(crate) unsafe fn gemm<R: Real>(
    [m, n, k]: [usize; 3],
    c: *mut R,
    c_strides: [isize; 2],
    read: bool,
    a: *const R,
    a_strides: [isize; 2],
    b: *const R,
    b_strides: [isize; 2],
    [keep, take]: [R; 2],
    parallelism: gemm::Parallelism,
) {
    if TypeId::of::<R>() != TypeId::of::<Ranged>() {
        // SAFETY: what the caller promises.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c,
                c_strides[0],
                c_strides[1],
                read,
                a,
                a_strides[0],
                a_strides[1],
                b,
                b_strides[0],
                b_strides[1],
                keep,
                take,
                false,
                false,
                false,
                parallelism,
            );
        }
        return;
    }
    // SAFETY: what the caller promises; a `Ranged` is an f64.
    unsafe {
        let rates = [keep.f64(), take.f64()];
        let (a, b) = (a.cast::<f64>(), b.cast::<f64>());
        gemm(
            [m, n, k],
            c.cast::<f64>(),
            c_strides,
            read,
            a,
            a_strides,
            b,
            b_strides,
            rates,
            parallelism,
        );
        for row in 0..m as isize {
            for column in 0..n as isize {
                let place = c.offset(column * c_strides[0] + row * c_strides[1]);
                *place = R::lit((*place).f64());
            }
        }
    }
}
