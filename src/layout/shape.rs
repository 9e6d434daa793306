//! Reshaping and repetition.

use super::strided::strided;
use super::view::{View, refuse_time, strides};
use crate::{Error, IntoShape, Result, Shape, Tensor, Var, reduce};

/// x repeated to `shape`: axes of extent 1, and axes that are missing in front, are repeated.
///
/// f32, u32, and packed spikes whose time axis stays first and as it is.
///
/// # Errors
/// [`Error::Shape`] if x does not broadcast to `shape`; [`Error::DType`] for f16.
pub fn expand(x: &Tensor, shape: impl IntoShape) -> Result<Tensor> {
    let shape = shape.into_shape()?;
    if x.shape() == &shape {
        return Ok(x.clone());
    }
    if x.shape().rank() > shape.rank() || x.shape().broadcast(&shape) != Some(shape) {
        return Err(Error::shape("expand", format!("{} does not broadcast to {shape}", x.shape())));
    }
    let view = View::of("expand", x)?;
    let keeps_time = x.shape().rank() == shape.rank() && x.shape().first() == shape.first();
    refuse_time("expand", &view, keeps_time)?;
    let new = shape.rank() - x.shape().rank();
    let dims = if view.is_packed() { shape.with(0, view.shape()[0])? } else { shape };
    let mut steps = vec![0; new];
    let of_axis = view.shape().iter().zip(strides(view.shape()));
    steps.extend(of_axis.map(|(extent, step)| if *extent == 1 { 0 } else { step }));
    view.restore(strided(&view, dims, &steps, 0)?)
}

impl Var {
    /// The same elements in another shape. Free; the gradient is reshaped back.
    ///
    /// # Errors
    /// Those of [`Tensor::reshape`].
    pub fn reshape(&self, shape: impl IntoShape) -> Result<Var> {
        let y = self.value().reshape(shape)?;
        let before: Shape = *self.shape();
        self.tape().record_one("reshape", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = gradient.reshape(before)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }

    /// Repeated to `shape`; see [`layout::expand`](crate::layout::expand). The gradient is summed
    /// over the repetitions.
    ///
    /// # Errors
    /// Those of [`layout::expand`](crate::layout::expand).
    pub fn expand(&self, shape: impl IntoShape) -> Result<Var> {
        let y = expand(self.value(), shape)?;
        let before: Shape = *self.shape();
        self.tape().record_one("expand", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = reduce::sum_to(gradient, &before)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
