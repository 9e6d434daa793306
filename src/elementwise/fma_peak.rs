//! Multiply-adds in registers: the arithmetic reference of the benchmarks.

use crate::host::{self, HostArgs, Real, each};
use crate::kernel::{Cost, CostArgs};
use crate::{DType, Device, Result, Tensor};

/// Independent chains of an invocation.
pub(crate) const CHAINS: u32 = 32;
/// Steps of a chain in a round.
pub(crate) const STEPS: u32 = 8;

crate::kernel! {
    /// `y[i]` = the sum of [`CHAINS`] chains of `rounds` times [`STEPS`] multiply-adds.
    pub(crate) static FMA_PEAK = "elementwise/fma_peak";
    params = struct FmaPeakParams { count: u32, rounds: u32, factor: f32, addend: f32 };
    oracle = fma_peak_oracle;
    host = host::elementwise::fma_peak;
    cost = cost;
    iterations = |args| 1 + u64::from(args.params::<FmaPeakParams>().rounds) * u64::from(2 + STEPS);
}

fn cost(args: &CostArgs<'_>) -> Cost {
    let p: FmaPeakParams = args.params();
    let steps = f64::from(p.rounds) * f64::from(STEPS * CHAINS);
    Cost { bytes: args.all_bytes(), flops: 2.0 * steps * f64::from(p.count) }
}

fn fma_peak_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: FmaPeakParams = args.params();
    let (factor, addend) = (R::lit(p.factor.into()), R::lit(p.addend.into()));
    let chain = |i: usize, k: u32| {
        let start = R::lit((i % 256) as f64) + R::lit(k.into());
        (0..p.rounds * STEPS).fold(start, |v, _| v * factor + addend)
    };
    each(args.reals_mut("y"), |i| (0..CHAINS).map(|k| chain(i, k)).sum());
}

/// Runs `512 rounds` floating-point operations for each of `items` elements, in registers: 32
/// independent chains `v = v factor + addend` an element. What an arithmetic-bound kernel can reach
/// on a device is measured with it. The result, the sum of the chains, is of no use but to be
/// checked.
///
/// # Errors
/// Those of [`Tensor::empty`].
pub fn fma_peak(device: &Device, items: usize, rounds: u32) -> Result<Tensor> {
    let y = Tensor::empty(device, [items], DType::F32)?;
    // A contraction: the values stay of order 100, far from overflow and from subnormal numbers.
    let params = FmaPeakParams { count: items as u32, rounds, factor: 0.999_023_44, addend: 0.125 };
    device.launch(&FMA_PEAK).params(&params).bind("y", &y).items(items).record()?;
    Ok(y)
}
