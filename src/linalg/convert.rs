//! Between f32 and f16 storage.

use crate::host::{HostArgs, Real, floats, pack_halves};
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

/// Between reals and pairs of f16.
fn convert_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ConvertParams = args.params();
    let count = p.count as usize;
    if args.when("FROM_HALF") {
        let x = floats(args, "x");
        args.reals_mut("y")[..count].copy_from_slice(&x[..count]);
    } else {
        pack_halves(&args.reals("x")[..count], args.words_mut("y"));
    }
}

kernel! {
    /// `y = x` in the other type.
    pub(super) static CONVERT = "linalg/convert";
    params = struct ConvertParams { count: u32 };
    oracle = convert_oracle;
    tolerance = 1e-3;
    variants = &[Variant::portable("to f16", &[]), Variant::portable("from f16", &["FROM_HALF"])];
}

/// An f32 tensor in f16.
pub(super) fn narrow(x: &Tensor) -> Result<Tensor> {
    convert(x, DType::F16)
}

/// An f16 tensor in f32; an f32 tensor as it is.
pub(super) fn widen(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == DType::F16 { convert(x, DType::F32) } else { Ok(x.clone()) }
}

fn convert(x: &Tensor, to: DType) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), to)?;
    let launch = x.device().launch(&CONVERT).when("FROM_HALF", to == DType::F32);
    let launch = launch.params(&ConvertParams { count: x.count() as u32 });
    launch.bind("x", x).bind("y", &y).items(x.count().div_ceil(2)).record()?;
    Ok(y)
}
