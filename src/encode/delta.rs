//! Delta modulation.

use super::twin;
use crate::elementwise::Packed;
use crate::kernel::{Kernel, few_turns, shader};
use crate::narrow::positive;
use crate::{DType, Error, Result, Tensor};

/// `on = [change >= threshold]`, `off = [change <= -threshold]`
pub(super) static DELTA: Kernel =
    Kernel::new("encode", "delta", shader!("encode/delta"), crate::twin!(twin::delta))
        .params::<Params>()
        .turns(few_turns);

crate::params! {
    pub(super) struct Params {
        packed: Packed,
        settled: u32,
        threshold: f32,
    }
}

/// The spike trains of [`delta`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Delta {
    /// Spikes where the signal rises by the threshold or more: packed, of the signal's shape.
    pub on: Tensor,
    /// Spikes where it falls by the threshold or more.
    pub off: Tensor,
}

/// Spikes where a signal `[T, ...]` changes by `threshold` or more from one step to the next
/// (Eshraghian et al. 2023, section 3.1, delta modulation). Before the first step the signal is 0,
/// or, if `settled`, what it is at the first step.
///
/// # Errors
/// [`Error::Argument`] unless the threshold is positive and finite; [`Error::Shape`] for a scalar;
/// [`Error::DType`] for other elements than f32; those of [`Tensor::empty`].
pub fn delta(x: &Tensor, threshold: f32, settled: bool) -> Result<Delta> {
    x.expect("delta", DType::F32)?;
    positive("delta", "threshold", threshold)?;
    if x.shape().rank() == 0 {
        return Err(Error::shape("delta", "a scalar has no steps"));
    }
    let on = Tensor::empty(x.device(), *x.shape(), DType::Bits)?;
    let off = Tensor::empty(x.device(), *x.shape(), DType::Bits)?;
    let params = Params { packed: Packed::of(&on), settled: u32::from(settled), threshold };
    let launch = x.device().launch(&DELTA).params(&params);
    launch.bind_next(x).bind_next(&on).bind_next(&off).items_of(on.words(), 256).record()?;
    Ok(Delta { on, off })
}
