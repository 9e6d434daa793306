//! Softmax and its logarithm.

use super::axes::Pass;
use super::rows::{Extents, ROWS, RowTurns, along, over_rows};
use super::twin;
use crate::kernel::{CostArgs, Kernel, shader};
use crate::{DType, Result, Tensor, Var};

/// `y = exp(x - m) / sum exp(x - m)`, or its logarithm
pub(super) static SOFTMAX: Kernel =
    Kernel::new("reduce", "softmax", shader!("reduce/softmax"), crate::twin!(twin::softmax))
        .params::<Extents>()
        .variants(ROWS)
        .turns(turns);

/// Its gradient, from the output.
pub(super) static SOFTMAX_BACKWARD: Kernel = Kernel::new(
    "reduce",
    "softmax_backward",
    shader!("reduce/softmax_backward"),
    crate::twin!(twin::softmax_backward),
)
.params::<Extents>()
.variants(ROWS)
.turns(turns);

/// Three walks over a row and two folds; backward has fewer.
fn turns(args: &CostArgs<'_>) -> u64 {
    let row = RowTurns::of(args, args.params::<Extents>().length);
    2 * row.walk() + row.chains() + 2 * row.fold
}

fn softmax(x: &Tensor, pass: Pass, log: bool) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if y.count() > 0 {
        let extents = [pass.outer * pass.inner, pass.length];
        over_rows(x.device(), &SOFTMAX, &Extents::from(pass), extents)
            .constant("LOG", u32::from(log))
            .bind_next(x)
            .bind_next(&y)
            .record()?;
    }
    Ok(y)
}

fn softmax_backward(y: &Tensor, gradient: &Tensor, pass: Pass, log: bool) -> Result<Tensor> {
    let gx = Tensor::empty(y.device(), *y.shape(), DType::F32)?;
    if gx.count() > 0 {
        let extents = [pass.outer * pass.inner, pass.length];
        over_rows(y.device(), &SOFTMAX_BACKWARD, &Extents::from(pass), extents)
            .constant("LOG", u32::from(log))
            .bind_next(y)
            .bind_next(gradient)
            .bind_next(&gx)
            .record()?;
    }
    Ok(gx)
}

impl Var {
    /// `y_k = exp(x_k) / sum_i exp(x_i)` along `axis`. Stable: the largest element is subtracted
    /// first.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for an axis that it does not have;
    /// [`Error::DType`](crate::Error::DType) unless it is f32.
    pub fn softmax(&self, axis: usize) -> Result<Var> {
        self.record_softmax("softmax", axis, false)
    }

    /// `y_k = x_k - log(sum_i exp(x_i))` along `axis`. Stable.
    ///
    /// # Errors
    /// Those of [`softmax`](Self::softmax).
    pub fn log_softmax(&self, axis: usize) -> Result<Var> {
        self.record_softmax("log_softmax", axis, true)
    }

    fn record_softmax(&self, op: &'static str, axis: usize, log: bool) -> Result<Var> {
        self.value().expect(op, DType::F32)?;
        let pass = along(op, self.shape(), axis)?;
        let y = softmax(self.value(), pass, log)?;
        let saved = y.clone();
        self.tape().record_one(op, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = softmax_backward(&saved, gradient, pass, log)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
