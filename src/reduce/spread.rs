//! The adjoint of sums: an axis is filled with copies.

use super::axes::Pass;
use super::rows::over_elements;
use super::twin;
use crate::kernel::{Kernel, few_turns, shader};
use crate::{DType, Result, Tensor};

/// `y[o, k, j] = x[o, j] / divisor`
pub(super) static SPREAD: Kernel =
    Kernel::new("reduce", "spread", shader!("reduce/spread"), crate::twin!(twin::spread))
        .params::<Params>()
        .turns(few_turns);

crate::params! {
    pub(super) struct Params {
        outer: u32,
        length: u32,
        inner: u32,
        divisor: f32,
    }
}

/// The copies of x, each divided by `divisor`: a tensor of shape `[outer, length, inner]`.
pub(crate) fn spread(x: &Tensor, pass: Pass, divisor: f32) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), [pass.outer, pass.length, pass.inner], DType::F32)?;
    let (outer, length) = (pass.outer as u32, pass.length as u32);
    let params = Params { outer, length, inner: pass.inner as u32, divisor };
    if y.count() > 0 {
        let launch = x.device().launch(&SPREAD).params(&params);
        over_elements(x.device(), launch.bind_next(x).bind_next(&y), y.count()).record()?;
    }
    Ok(y)
}
