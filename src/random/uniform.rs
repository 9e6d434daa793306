//! Uniform numbers.

use super::Generator;
use super::threefry::{unit, word_of};
use crate::host::{HostArgs, Real, each};
use crate::{DType, IntoShape, Result, Tensor};

crate::kernel! {
    /// `y[e]` uniform in [0, 1)
    pub(super) static UNIFORM = "random/draw_uniform";
    params = struct UniformParams { count: u32, key: [u32; 2] };
    oracle = draw_uniform_oracle;
    tolerance = 0.0;
}

fn draw_uniform_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UniformParams = args.params();
    let step = args.words("step")[0];
    each(args.reals_mut("y"), |e| R::lit(unit(word_of(p.key, step, e)).into()));
}

impl Generator {
    /// Uniform numbers in [0, 1): multiples of 2^-24, the same on every device.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn uniform(&mut self, shape: impl IntoShape) -> Result<Tensor> {
        let y = self.output(shape, DType::F32)?;
        let params = UniformParams { count: y.count() as u32, key: self.next_key() };
        let launch = self.device().launch(&UNIFORM).params(&params);
        let launch = launch.bind("step", self.step()).bind("y", &y);
        launch.items(y.count().div_ceil(2)).record()?;
        Ok(y)
    }
}
