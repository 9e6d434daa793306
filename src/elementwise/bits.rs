//! Casts between f32 and packed spikes.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor, Var};

/// `s = [x > 1/2]`, packed along the leading axis
pub(super) static PACK: Kernel =
    Kernel::new("elementwise", "pack", shader!("elementwise/pack"), crate::twin!(twin::pack))
        .params::<Params>();

/// `x = s`, from packed spikes
pub(super) static UNPACK: Kernel =
    Kernel::new("elementwise", "unpack", shader!("elementwise/unpack"), crate::twin!(twin::unpack))
        .params::<Params>();

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) steps: u32,
    pub(super) row: u32,
    words: u32,
}

/// The parameters for a tensor of packed spikes.
fn params(bits: &Tensor) -> Params {
    let steps = bits.shape().first().copied().unwrap_or(1);
    let row: usize = bits.shape().iter().skip(1).product();
    Params { steps: steps as u32, row: row as u32, words: bits.words() as u32 }
}

/// Packed spikes `[T, ...]`: a spike where `x` is above 1/2.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f32; those of [`Tensor::empty`].
pub fn pack(x: &Tensor) -> Result<Tensor> {
    x.expect("pack", DType::F32)?;
    let s = Tensor::empty(x.device(), *x.shape(), DType::Bits)?;
    let launch = x.device().launch(&PACK).params(&params(&s));
    launch.bind(x).bind(&s).items(s.words(), 256).record()?;
    Ok(s)
}

/// Packed spikes `[T, ...]` as f32: 1 for a spike, else 0.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than bits; those of [`Tensor::empty`].
pub fn unpack(s: &Tensor) -> Result<Tensor> {
    s.expect("unpack", DType::Bits)?;
    let x = Tensor::empty(s.device(), *s.shape(), DType::F32)?;
    let launch = s.device().launch(&UNPACK).params(&params(s));
    launch.bind(s).bind(&x).items(s.words(), 256).record()?;
    Ok(x)
}

impl Var {
    /// f32 as packed spikes ([`pack`]). The gradient passes as it is, in f32.
    ///
    /// # Errors
    /// Those of [`pack`].
    pub fn pack(&self) -> Result<Var> {
        let s = pack(self.value())?;
        self.straight_through("pack", s)
    }

    /// Packed spikes as f32 ([`unpack`]). The gradient passes as it is.
    ///
    /// # Errors
    /// Those of [`unpack`].
    pub fn unpack(&self) -> Result<Var> {
        let x = unpack(self.value())?;
        self.straight_through("unpack", x)
    }
}
