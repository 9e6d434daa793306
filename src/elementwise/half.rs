//! Casts between f32 and f16 storage.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor, Var};

/// `y = f16(x)`
pub(super) static TO_HALF: Kernel = Kernel::new(
    "elementwise",
    "to_half",
    shader!("elementwise/to_half"),
    crate::twin!(twin::to_half),
)
.params::<Params>();

/// `y = f32(x)`
pub(super) static FROM_HALF: Kernel = Kernel::new(
    "elementwise",
    "from_half",
    shader!("elementwise/from_half"),
    crate::twin!(twin::from_half),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        count: u32,
    }
}

/// The nearest f16 of every element, ties to even; beyond ±65504 the largest, infinities and NaN as they
/// are. The same bits on every device.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f32; those of [`Tensor::empty`].
pub fn to_half(x: &Tensor) -> Result<Tensor> {
    x.expect("to_half", DType::F32)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F16)?;
    let params = Params { count: x.count() as u32 };
    let launch = x.device().launch(&TO_HALF).params(&params);
    launch.bind_next(x).bind_next(&y).items_of(y.words(), 256).record()?;
    Ok(y)
}

/// The f32 of every f16. Exact.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f16; those of [`Tensor::empty`].
pub fn from_half(x: &Tensor) -> Result<Tensor> {
    x.expect("from_half", DType::F16)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let params = Params { count: x.count() as u32 };
    let launch = x.device().launch(&FROM_HALF).params(&params);
    launch.bind_next(x).bind_next(&y).items_of(y.count(), 256).record()?;
    Ok(y)
}

impl Var {
    /// f32 rounded to f16 storage ([`to_half`]). The gradient passes as it is, in f32.
    ///
    /// # Errors
    /// Those of [`to_half`].
    pub fn to_half(&self) -> Result<Var> {
        let y = to_half(self.value())?;
        self.straight_through("to_half", y)
    }

    /// f16 storage read as f32 ([`from_half`]). The gradient passes as it is.
    ///
    /// # Errors
    /// Those of [`from_half`].
    pub fn from_half(&self) -> Result<Var> {
        let y = from_half(self.value())?;
        self.straight_through("from_half", y)
    }

    /// Records `y` as an operator of `self` whose gradient passes as it is.
    pub(super) fn straight_through(&self, op: &'static str, y: Tensor) -> Result<Var> {
        self.tape().record_one(op, &[self], y, |bw| {
            if let Some(g) = bw.upstream(0).cloned() {
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
