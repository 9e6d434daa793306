//! Mean squared error.

use crate::host::parallel::*;
use crate::host::{HostArgs, Real, difference_times};
use crate::reduce::{Fold, Op, Pass, Term, fold};
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// `gx = 2 g (x - y) / count`
    pub(super) static MSE_BACKWARD = "loss/mse_backward";
    params = struct MseBackwardParams {
        count: u32,
    };
    oracle = mse_backward_oracle;
}

/// The mean over all elements of `(x - y)^2`: a scalar. Both get gradients.
///
/// # Errors
/// [`Error::Shape`] where shapes differ or there are no elements; [`Error::DType`] unless both are
/// f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
pub fn mse(x: &Var, y: &Var) -> Result<Var> {
    x.value().expect("mse", DType::F32)?;
    y.value().expect("mse", DType::F32)?;
    x.value().same_device("mse", y.value())?;
    let count = x.value().count();
    if x.shape() != y.shape() || count == 0 {
        let detail = format!("{} and {}, expected one shape, with elements", x.shape(), y.shape());
        return Err(Error::shape("mse", detail));
    }
    let pass = Pass { outer: 1, length: count, inner: 1 };
    let term = Term::Difference(y.value());
    let squares = Fold { term, divisor: count as f32, ..Fold::of(Op::Sum) };
    let loss = fold(x.value(), pass, squares)?.reshape([])?;
    let values = [x.value().clone(), y.value().clone()];
    x.tape().record_one("mse", &[x, y], loss, move |bw| {
        for (i, (a, b)) in [(0, 1), (1, 0)].into_iter().enumerate() {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(i)) {
                let g = mse_backward(&values[a], &values[b], gradient)?;
                bw.give(i, g);
            }
        }
        Ok(())
    })
}

fn mse_backward(x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let launch =
        x.device().launch(&MSE_BACKWARD).params(&MseBackwardParams { count: x.count() as u32 });
    launch
        .bind("x", x)
        .bind("y", y)
        .bind("g", gradient)
        .bind("gx", &gx)
        .items(x.count())
        .record()?;
    Ok(gx)
}

fn mse_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (x, y, g, gx) = (args.reals("x"), args.reals("y"), args.reals("g"), args.reals_mut("gx"));
    let scale = g[0] / R::lit(0.5 * x.len() as f64);
    let each = |((gx, x), y): ((&mut R, &R), &R)| *gx = difference_times(*x, *y, scale);
    gx.par_iter_mut().zip(x).zip(y).at_least(1024).for_each(each);
}
