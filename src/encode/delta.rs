//! Delta modulation.

use crate::elementwise::Packed;
use crate::host::{HostArgs, Real, each};
use crate::kernel::few_iterations;
use crate::narrow::positive;
use crate::{DType, Error, Result, Tensor};

crate::kernel! {
    /// `on = [change >= threshold]`, `off = [change <= -threshold]`
    pub(super) static DELTA = "encode/delta";
    params = struct DeltaParams { packed: Packed, settled: u32, threshold: f32 };
    oracle = delta_oracle;
    iterations = few_iterations;
}

/// Comparisons are made in f32 in both precisions: spikes are the same everywhere.
fn delta_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: DeltaParams = args.params();
    let x = args.reals("x");
    let row = p.packed.row as usize;
    let change = |e: usize| {
        let before = match e.checked_sub(row) {
            Some(earlier) => x[earlier].f32(),
            None if p.settled == 1 => x[e].f32(),
            None => 0.0,
        };
        x[e].f32() - before
    };
    let (on, off) = (args.words_mut("on"), args.words_mut("off"));
    each(on, |w| p.packed.word(w, |e| change(e) >= p.threshold));
    each(off, |w| p.packed.word(w, |e| change(e) <= -p.threshold));
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
    let params = DeltaParams { packed: Packed::of(&on), settled: u32::from(settled), threshold };
    let launch = x.device().launch(&DELTA).params(&params);
    launch.bind("x", x).bind("on", &on).bind("off", &off).items(on.words()).record()?;
    Ok(Delta { on, off })
}
