//! Multiply-adds in registers: the arithmetic reference of the benchmarks.

use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{DType, Device, Result, Tensor};

/// `y[i]` = the sum of [`CHAINS`] chains of `rounds` times [`STEPS`] multiply-adds.
pub(super) static FMA_PEAK: Kernel = Kernel::new(
    "elementwise",
    "fma_peak",
    shader!("elementwise/fma_peak"),
    crate::twin!(twin::fma_peak),
)
.params::<Params>()
.cost(cost)
.turns(|args| 1 + u64::from(args.params::<Params>().rounds) * u64::from(2 + STEPS));

/// Independent chains of an invocation.
pub(super) const CHAINS: u32 = 32;
/// Steps of a chain in a round.
pub(super) const STEPS: u32 = 8;

crate::params! {
    pub(super) struct Params {
        count: u32,
        rounds: u32,
        factor: f32,
        addend: f32,
    }
}

fn cost(args: &CostArgs<'_>) -> Cost {
    let p: Params = args.params();
    let steps = f64::from(p.rounds) * f64::from(STEPS * CHAINS);
    Cost { bytes: args.all_bytes(), flops: 2.0 * steps * f64::from(p.count) }
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
    let params = Params { count: items as u32, rounds, factor: 0.999_023_44, addend: 0.125 };
    device.launch(&FMA_PEAK).params(&params).bind_next(&y).items_of(items, 256).record()?;
    Ok(y)
}
