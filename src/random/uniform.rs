//! Uniform numbers.

use super::{Generator, twin};
use crate::kernel::{Kernel, shader};
use crate::{DType, IntoShape, Result, Tensor};

/// `y[e]` uniform in [0, 1)
pub(super) static UNIFORM: Kernel = Kernel::new(
    "random",
    "draw_uniform",
    shader!("random/draw_uniform"),
    crate::twin!(twin::uniform),
)
.params::<Params>()
.tolerance(0.0);

crate::params! {
    pub(super) struct Params {
        count: u32,
        key: [u32; 2],
    }
}

impl Generator {
    /// Uniform numbers in [0, 1): multiples of 2^-24, the same on every device.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn uniform(&mut self, shape: impl IntoShape) -> Result<Tensor> {
        let y = self.output(shape, DType::F32)?;
        let params = Params { count: y.count() as u32, key: self.next_key() };
        let launch = self.device().launch(&UNIFORM).params(&params);
        launch
            .bind_next(self.step())
            .bind_next(&y)
            .items_of(y.count().div_ceil(2), 256)
            .record()?;
        Ok(y)
    }
}
