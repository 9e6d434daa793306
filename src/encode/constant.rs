//! Constant current.

use super::with_steps;
use crate::host::{HostArgs, Real};
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Result, Tensor, Var};

crate::kernel! {
    /// `y[t, n] = x[n]`
    pub(super) static REPEAT_STEPS = "encode/repeat_steps";
    params = struct RepeatParams { items: u32, all_items: u32 };
    oracle = repeat_steps_oracle;
    variants = BY_FOUR;
}

fn repeat_steps_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals("x");
    args.reals_mut("y").chunks_mut(x.len().max(1)).for_each(|step| step.copy_from_slice(x));
}

/// The input at every step, as a current: `[...]` becomes `[T, ...]`.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for no steps;
/// [`Error::DType`](crate::Error::DType) for other elements than f32; those of [`Tensor::empty`].
pub fn constant(x: &Tensor, steps: usize) -> Result<Tensor> {
    x.expect("constant", DType::F32)?;
    let y = Tensor::empty(x.device(), with_steps("constant", steps, x.shape())?, DType::F32)?;
    if y.count() == 0 {
        return Ok(y);
    }
    let (launch, items) = launch_items(x.device(), &REPEAT_STEPS, x.count());
    let all = items as usize * steps;
    let params = RepeatParams { items, all_items: all as u32 };
    launch.params(&params).bind("x", x).bind("y", &y).items(all).record()?;
    Ok(y)
}

impl Var {
    /// The input at every step, as a current: `[...]` becomes `[T, ...]`. The gradient is the sum
    /// over the steps.
    ///
    /// # Errors
    /// Those of [`constant`]; [`Error::TapeMismatch`](crate::Error::TapeMismatch).
    pub fn repeat_steps(&self, steps: usize) -> Result<Var> {
        let y = constant(self.value(), steps)?;
        let shape = *self.shape();
        self.tape().record_one("repeat_steps", &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = crate::reduce::sum_to(g, &shape)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}
