//! Clipping by the norm of all gradients together (Pascanu, Mikolov and Bengio 2013).

use super::twin;
use crate::error::Result;
use crate::kernel::{CostArgs, Kernel, shader};
use crate::{Cost, DType, Device, Tensor};

/// `partials[offset + k] = sum of g[i]^2 over chunk k`
pub(super) static SQUARE_SUM: Kernel =
    Kernel::new("optim", "square_sum", shader!("optim/square_sum"), crate::twin!(twin::square_sum))
        .params::<SquareSumParams>()
        .cost(square_sum_cost);

/// `factor = most / max(norm, most)`
pub(super) static CLIP_FACTOR: Kernel = Kernel::new(
    "optim",
    "clip_factor",
    shader!("optim/clip_factor"),
    crate::twin!(twin::clip_factor),
)
.params::<ClipFactorParams>();

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct SquareSumParams {
    pub(super) count: u32,
    pub(super) chunk: u32,
    pub(super) groups: u32,
    pub(super) offset: u32,
}

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct ClipFactorParams {
    pub(super) count: u32,
    pub(super) checked: u32,
    pub(super) most: f32,
}

fn square_sum_cost(args: &CostArgs<'_>) -> Cost {
    let p: SquareSumParams = args.params();
    let (count, groups) = (f64::from(p.count), f64::from(p.groups));
    Cost { bytes: (count + groups) * 4.0, flops: 2.0 * count }
}

/// The most workgroups that share one gradient: enough to fill a GPU, few enough that the partial
/// sums of all gradients are a matter of microseconds for one workgroup.
const MOST_GROUPS: usize = 256;
/// The fewest elements worth a workgroup.
const LEAST_CHUNK: usize = 4096;

/// The elements of a chunk, and the number of chunks.
pub(super) fn chunks(count: usize) -> (u32, u32) {
    let chunk = count.div_ceil(MOST_GROUPS).max(LEAST_CHUNK);
    (chunk as u32, count.div_ceil(chunk) as u32)
}

/// Global-norm clipping: everything stays on the device.
#[derive(Debug)]
pub(super) struct Clip {
    most: f32,
    partials: Tensor,
}

impl Clip {
    /// Clipping to the norm `most` for at most `gradients` gradients.
    pub(super) fn new(device: &Device, most: f64, gradients: usize) -> Result<Self> {
        let partials = Tensor::zeros(device, [gradients * MOST_GROUPS], DType::F32)?;
        // Infinity, which only looks for gradients that are not finite, becomes the largest float.
        Ok(Self { most: most.min(f64::from(f32::MAX)) as f32, partials })
    }

    /// Computes norm and factor of `gradients` into `state`: factor, norm, skip, skipped steps. What
    /// is in `checked` must be finite too.
    pub(super) fn record<'a>(
        &self,
        gradients: impl Iterator<Item = &'a Tensor>,
        checked: impl Iterator<Item = &'a Tensor>,
        state: &Tensor,
    ) -> Result<()> {
        let device = self.partials.device();
        // A software adapter pays for every barrier; one invocation a workgroup needs none.
        let size = if device.capabilities().software { 1u32 } else { 256 };
        let count = self.record_sums(gradients, 0, size)?;
        let all = self.record_sums(checked, count, size)?;
        let params = ClipFactorParams { count, checked: all - count, most: self.most };
        let launch = device.launch(&CLIP_FACTOR).params(&params).constant("WG", size);
        launch.bind(&self.partials).bind(state).record()
    }

    /// Sums of squares from the place `offset` on; returns the place after the last.
    fn record_sums<'a>(
        &self,
        gradients: impl Iterator<Item = &'a Tensor>,
        mut offset: u32,
        size: u32,
    ) -> Result<u32> {
        for gradient in gradients {
            let (chunk, groups) = chunks(gradient.count());
            let params = SquareSumParams { count: gradient.count() as u32, chunk, groups, offset };
            let launch = self.partials.device().launch(&SQUARE_SUM).params(&params);
            let launch = launch.constant("WG", size).bind(gradient).bind(&self.partials);
            launch.groups([groups.max(1), 1, 1]).record()?;
            offset += groups;
        }
        Ok(offset)
    }
}
