//! Between f32 and f16 storage.

use super::twin;
use crate::kernel::{Kernel, Needs, Variant, shader};
use crate::{DType, Result, Tensor};

/// `y = x` in the other type.
pub(super) static CONVERT: Kernel =
    Kernel::new("linalg", "convert", shader!("linalg/convert"), crate::twin!(twin::convert))
        .params::<Params>()
        .tolerance(1e-3)
        .variants(&[
            Variant { name: "to f16", conditions: &[], needs: Needs::NOTHING },
            Variant { name: "from f16", conditions: &["FROM_HALF"], needs: Needs::NOTHING },
        ]);

crate::params! {
    pub(super) struct Params {
        count: u32,
    }
}

/// An f32 tensor in f16.
pub(super) fn narrow(x: &Tensor) -> Result<Tensor> {
    convert(x, DType::F16)
}

/// An f16 tensor in f32; an f32 tensor as it is.
pub(super) fn widen(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::F16 { convert(x, DType::F32) } else { Ok(x.clone()) }
}

fn convert(x: &Tensor, to: DType) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), to)?;
    let launch = x.device().launch(&CONVERT).variant_at(usize::from(to == DType::F32));
    let params = Params { count: x.count() as u32 };
    launch
        .params(&params)
        .bind_next(x)
        .bind_next(&y)
        .items_of(x.count().div_ceil(2), 64)
        .record()?;
    Ok(y)
}
