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

    /// Computes norm and factor of `gradients` into `state`: factor, norm, skip, skipped steps.
    pub(super) fn record<'a>(
        &self,
        gradients: impl Iterator<Item = &'a Tensor>,
        state: &Tensor,
    ) -> Result<()> {
        let device = self.partials.device();
        // A software adapter pays for every barrier; one invocation a workgroup needs none.
        let size = if device.capabilities().software { 1u32 } else { 256 };
        let mut offset = 0;
        for gradient in gradients {
            let count = gradient.count();
            let chunk = count.div_ceil(MOST_GROUPS).max(LEAST_CHUNK);
            let groups = count.div_ceil(chunk) as u32;
            let (count, chunk) = (count as u32, chunk as u32);
            let params = SquareSumParams { count, chunk, groups, offset };
            let launch = device.launch(&SQUARE_SUM).params(&params).constant("WG", size);
            launch.bind(gradient).bind(&self.partials).groups([groups.max(1), 1, 1]).record()?;
            offset += groups;
        }
        let params = ClipFactorParams { count: offset, most: self.most };
        let launch = device.launch(&CLIP_FACTOR).params(&params).constant("WG", size);
        launch.bind(&self.partials).bind(state).record()
    }
}
