//! Casts between f32 and f16 storage.

use crate::host::{HostArgs, Real, each};
use crate::{DType, Result, Tensor, Var};
use half::f16;

crate::params! {
    pub(super) struct CastParams {
        count: u32,
    }
}

crate::kernel! {
    /// `y = f16(x)`
    pub(super) static TO_HALF = "elementwise/to_half";
    params = CastParams;
    oracle = to_half_oracle;
}

crate::kernel! {
    /// `y = f32(x)`
    pub(super) static FROM_HALF = "elementwise/from_half";
    params = CastParams;
    oracle = from_half_oracle;
}

fn to_half_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals("x");
    // In two roundings, as on a device whose input is f32 already.
    let bits = |i: usize| {
        let value = x.get(i).map_or(0.0, |x| x.f32());
        let held = if value.is_finite() { value.clamp(-65504.0, 65504.0) } else { value };
        u32::from(f16::from_f32(held).to_bits())
    };
    each(args.words_mut("y"), |i| bits(2 * i) | bits(2 * i + 1) << 16);
}

fn from_half_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.words("x");
    each(args.reals_mut("y"), |i| {
        R::lit(f16::from_bits((x[i / 2] >> (16 * (i % 2))) as u16).to_f64())
    });
}

/// The nearest f16 of every element, ties to even; beyond ±65504 the largest, infinities and NaN as they
/// are. The same bits on every device.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f32; those of [`Tensor::empty`].
pub fn to_half(x: &Tensor) -> Result<Tensor> {
    x.expect("to_half", DType::F32)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F16)?;
    let params = CastParams { count: x.count() as u32 };
    let launch = x.device().launch(&TO_HALF).params(&params);
    launch.bind("x", x).bind("y", &y).items(y.words()).record()?;
    Ok(y)
}

/// The f32 of every f16. Exact.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f16; those of [`Tensor::empty`].
pub fn from_half(x: &Tensor) -> Result<Tensor> {
    x.expect("from_half", DType::F16)?;
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let params = CastParams { count: x.count() as u32 };
    let launch = x.device().launch(&FROM_HALF).params(&params);
    launch.bind("x", x).bind("y", &y).items(y.count()).record()?;
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
