//! Sums and means.

use super::axes::{Axes, Pass};
use super::fold::{Fold, Op, fold};
use super::spread::spread;
use crate::{DType, Error, Result, Shape, Tensor, Var};

/// The sum of x over `axes`: `y = sum_k x[.., k, ..]`. The sum of no elements is 0.
///
/// f32 sums are made of chains of a few dozen elements that are joined by trees, in an order that
/// depends on the shape and the device only.
///
/// # Errors
/// [`Error::Argument`] for an axis that x does not have or that is named twice; [`Error::DType`]
/// unless x is f32.
pub fn sum(x: &Tensor, axes: &[usize], keepdims: bool) -> Result<Tensor> {
    x.expect("sum", DType::F32)?;
    sum_over(x, &Axes::new("sum", x.shape(), axes)?, keepdims, 1.0)
}

/// The mean of x over `axes`.
///
/// # Errors
/// Those of [`sum`]; [`Error::Shape`] for a mean of no elements.
pub fn mean(x: &Tensor, axes: &[usize], keepdims: bool) -> Result<Tensor> {
    x.expect("mean", DType::F32)?;
    let axes = Axes::new("mean", x.shape(), axes)?;
    refuse_empty("mean", x, &axes)?;
    sum_over(x, &axes, keepdims, axes.count() as f32)
}

/// The sum of x over the axes along which a tensor of shape `shape` would be repeated to take the
/// shape of x: the adjoint of broadcasting.
///
/// # Errors
/// [`Error::Shape`] if `shape` does not broadcast to the shape of x; [`Error::DType`] unless x is
/// f32.
pub fn sum_to(x: &Tensor, shape: &Shape) -> Result<Tensor> {
    x.expect("sum_to", DType::F32)?;
    if x.shape() == shape {
        return Ok(x.clone());
    }
    if shape.broadcast(x.shape()).as_ref() != Some(x.shape()) || shape.rank() > x.shape().rank() {
        return Err(Error::shape("sum_to", format!("{} is no broadcast of {shape}", x.shape())));
    }
    let new = x.shape().rank() - shape.rank();
    let repeated = |a: &usize| *a < new || (shape[*a - new] == 1 && x.shape()[*a] != 1);
    let axes: Vec<usize> = (0..x.shape().rank()).filter(repeated).collect();
    sum(x, &axes, true)?.reshape(shape)
}

pub(super) fn refuse_empty(op: &'static str, x: &Tensor, axes: &Axes) -> Result<()> {
    if axes.count() == 0 {
        return Err(Error::shape(op, format!("over no elements of shape {}", x.shape())));
    }
    Ok(())
}

/// The sum over checked axes, divided.
fn sum_over(x: &Tensor, axes: &Axes, keepdims: bool, divisor: f32) -> Result<Tensor> {
    let result = axes.result(keepdims)?;
    if axes.count() == 0 {
        return Tensor::zeros(x.device(), result, DType::F32);
    }
    let passes = axes.passes();
    let (mut y, mut rest) = (x.clone(), divisor);
    for (i, pass) in passes.iter().enumerate() {
        let last = i + 1 == passes.len() || rest == 1.0;
        let divisor = if last { rest } else { pass.length.next_power_of_two() as f32 };
        rest /= divisor;
        y = fold(&y, *pass, Fold { divisor, ..Fold::of(Op::Sum) })?;
    }
    y.reshape(result)
}

/// The gradient of [`sum_over`]: the passes undone, outermost first.
fn spread_over(gradient: &Tensor, passes: &[Pass], divisor: f32, shape: Shape) -> Result<Tensor> {
    let mut g = gradient.clone();
    for (i, pass) in passes.iter().rev().enumerate() {
        g = spread(&g, *pass, if i == 0 { divisor } else { 1.0 })?;
    }
    g.reshape(shape)
}

impl Var {
    /// The sum over `axes`; see [`reduce::sum`](crate::reduce::sum).
    ///
    /// # Errors
    /// Those of [`reduce::sum`](crate::reduce::sum).
    pub fn sum(&self, axes: &[usize], keepdims: bool) -> Result<Var> {
        self.value().expect("sum", DType::F32)?;
        self.record_sum("sum", Axes::new("sum", self.shape(), axes)?, keepdims, 1.0)
    }

    /// The sum of all elements: a scalar.
    ///
    /// # Errors
    /// [`Error::DType`] unless it is f32.
    pub fn sum_all(&self) -> Result<Var> {
        self.value().expect("sum_all", DType::F32)?;
        self.record_sum("sum_all", Axes::all(self.shape()), false, 1.0)
    }

    /// The mean over `axes`; see [`reduce::mean`](crate::reduce::mean).
    ///
    /// # Errors
    /// Those of [`reduce::mean`](crate::reduce::mean).
    pub fn mean(&self, axes: &[usize], keepdims: bool) -> Result<Var> {
        self.value().expect("mean", DType::F32)?;
        let axes = Axes::new("mean", self.shape(), axes)?;
        refuse_empty("mean", self.value(), &axes)?;
        self.record_sum("mean", axes, keepdims, axes.count() as f32)
    }

    /// The mean of all elements: a scalar.
    ///
    /// # Errors
    /// [`Error::DType`] unless it is f32; [`Error::Shape`] if there are none.
    pub fn mean_all(&self) -> Result<Var> {
        self.value().expect("mean_all", DType::F32)?;
        let axes = Axes::all(self.shape());
        refuse_empty("mean_all", self.value(), &axes)?;
        self.record_sum("mean_all", axes, false, axes.count() as f32)
    }

    fn record_sum(&self, op: &'static str, axes: Axes, keep: bool, divisor: f32) -> Result<Var> {
        let y = sum_over(self.value(), &axes, keep, divisor)?;
        let shape = *self.shape();
        self.tape().record_one(op, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = spread_over(gradient, &axes.passes(), divisor, shape)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
