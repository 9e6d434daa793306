//! Weighted sums of work matrices.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `y = p a + q b + r c`
pub(super) static MATRIX_BLEND: Kernel = Kernel::new(
    "spectral",
    "matrix_blend",
    shader!("spectral/matrix_blend"),
    crate::twin!(twin::blend),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        cells: u32,
        p: f32,
        q: f32,
        r: f32,
    }
}

/// `p a + q b + r c` for tensors of one shape whose elements are a multiple of 4; `r = 0` without `c`.
pub(super) fn blend(
    [p, q, r]: [f32; 3],
    a: &Tensor,
    b: &Tensor,
    c: Option<&Tensor>,
) -> Result<Tensor> {
    let y = Tensor::empty(a.device(), *a.shape(), DType::F32)?;
    let cells = a.count() / 4;
    let r = if c.is_some() { r } else { 0.0 };
    let params = Params { cells: cells as u32, p, q, r };
    let launch = a
        .device()
        .launch(&MATRIX_BLEND)
        .params(&params)
        .bind_next(a)
        .bind_next(b)
        .bind_next(c.unwrap_or(a));
    launch.bind_next(&y).items_of(cells, 64).record()?;
    Ok(y)
}
