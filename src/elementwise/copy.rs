//! Copies: the bandwidth reference of the benchmarks.

use super::{CELLS, launch_cells, twin};
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `y[i] = x[i]`
pub(super) static COPY: Kernel =
    Kernel::new("elementwise", "copy", shader!("elementwise/copy"), crate::twin!(twin::copy))
        .params::<Params>()
        .variants(CELLS);

crate::params! {
    struct Params {
        cells: u32,
    }
}

/// A copy of an f32 tensor, made by a kernel that reads and writes every element once. What a
/// memory-bound kernel can reach on a device is measured with it; [`Tensor::duplicate`] copies by
/// the driver's command.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other element types; those of [`Tensor::empty`].
pub fn copy(x: &Tensor) -> Result<Tensor> {
    x.expect("copy", DType::F32)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, cells) = launch_cells(x.device(), &COPY, x.count());
    launch.params(&Params { cells }).bind_next(x).bind_next(&y).record()?;
    Ok(y)
}
