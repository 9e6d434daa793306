//! The adjoint of sums: an axis is filled with copies.

use super::axes::Pass;
use super::rows::over_elements;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::few_iterations;
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `y[o, k, j] = x[o, j] / divisor`
    pub(super) static SPREAD = "reduce/spread";
    params = struct SpreadParams { outer: u32, length: u32, inner: u32, divisor: f32 };
    oracle = spread_oracle;
    iterations = few_iterations;
}

fn spread_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SpreadParams = args.params();
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    y.par_chunks_mut(inner).enumerate().for_each(|(row, y)| {
        let from = &x[row / p.length as usize * inner..][..inner];
        for (y, x) in y.iter_mut().zip(from) {
            *y = *x / divisor;
        }
    });
}

/// The copies of x, each divided by `divisor`: a tensor of shape `[outer, length, inner]`.
pub(crate) fn spread(x: &Tensor, pass: Pass, divisor: f32) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), [pass.outer, pass.length, pass.inner], DType::F32)?;
    let (outer, length) = (pass.outer as u32, pass.length as u32);
    let params = SpreadParams { outer, length, inner: pass.inner as u32, divisor };
    if y.count() > 0 {
        let launch = x.device().launch(&SPREAD).params(&params);
        over_elements(x.device(), launch.bind("x", x).bind("y", &y), y.count()).record()?;
    }
    Ok(y)
}
