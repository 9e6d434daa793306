//! Softmax and its logarithm.

use super::axes::Pass;
use super::rows::{Extents, ROWS, RowIterations, along, over_rows};
use crate::host::parallel::*;
use crate::host::{self, HostArgs, Real, greatest};
use crate::kernel::CostArgs;
use crate::{DType, Result, Tensor, Var};

crate::kernel! {
    /// `y = exp(x - m) / sum exp(x - m)`, or its logarithm
    pub(super) static SOFTMAX = "reduce/softmax";
    params = Extents;
    oracle = softmax_oracle;
    host = host::reduce::softmax;
    variants = ROWS;
    iterations = iterations;
}

crate::kernel! {
    /// Its gradient, from the output.
    pub(super) static SOFTMAX_BACKWARD = "reduce/softmax_backward";
    params = Extents;
    oracle = softmax_backward_oracle;
    host = host::reduce::softmax_backward;
    variants = ROWS;
    iterations = iterations;
}

/// Three walks over a row and two folds; backward has fewer.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let row = RowIterations::of(args, args.params::<Extents>().length);
    2 * row.walk() + row.chains() + 2 * row.fold
}

fn softmax_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.flag("LOG");
    let x = args.reals("x");
    by_rows(&p, args.reals_mut("y"), |row| {
        let largest = row.iter().fold(x[row[0]], |m, k| greatest(m, x[*k]));
        let sum: R = row.iter().map(|k| (x[*k] - largest).exp()).sum();
        let y = |k: &usize| match log {
            true => x[*k] - largest - sum.ln(),
            false => (x[*k] - largest).exp() / sum,
        };
        row.iter().map(y).collect()
    });
}

fn softmax_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let log = args.flag("LOG");
    let (y, g) = (args.reals("y"), args.reals("g"));
    by_rows(&p, args.reals_mut("gx"), |row| {
        let sum: R = row.iter().map(|k| if log { g[*k] } else { g[*k] * y[*k] }).sum();
        let gx = |k: &usize| match log {
            true => g[*k] - y[*k].exp() * sum,
            false => y[*k] * (g[*k] - sum),
        };
        row.iter().map(gx).collect()
    });
}

/// Writes to the places of each row what `values` makes of them.
fn by_rows<R: Real>(p: &Extents, y: &mut [R], values: impl Fn(&[usize]) -> Vec<R> + Sync) {
    let (length, inner) = (p.length as usize, p.inner as usize);
    y.par_chunks_mut(length * inner).enumerate().for_each(|(o, y)| {
        for j in 0..inner {
            let start = p.row_start(o * inner + j);
            let row: Vec<usize> = (0..length).map(|k| start + k * inner).collect();
            for (k, value) in values(&row).into_iter().enumerate() {
                y[k * inner + j] = value;
            }
        }
    });
}

fn softmax(x: &Tensor, pass: Pass, log: bool) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if y.count() > 0 {
        let extents = [pass.outer * pass.inner, pass.length];
        over_rows(x.device(), &SOFTMAX, &Extents::from(pass), extents)
            .constant("LOG", log)
            .bind("x", x)
            .bind("y", &y)
            .record()?;
    }
    Ok(y)
}

fn softmax_backward(y: &Tensor, gradient: &Tensor, pass: Pass, log: bool) -> Result<Tensor> {
    let gx = Tensor::empty(y.device(), *y.shape(), DType::F32)?;
    if gx.count() > 0 {
        let extents = [pass.outer * pass.inner, pass.length];
        over_rows(y.device(), &SOFTMAX_BACKWARD, &Extents::from(pass), extents)
            .constant("LOG", log)
            .bind("y", y)
            .bind("g", gradient)
            .bind("gx", &gx)
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
