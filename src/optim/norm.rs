//! Clipping by the norm of all gradients together (Pascanu, Mikolov and Bengio 2013).

use super::twin;
use crate::error::Result;
use crate::kernel::{CostArgs, Kernel, shader};
use crate::{Cost, DType, Device, Tensor};

/// `partials[offset + k] = sums of g[i]^2 over chunk k` of up to [`TOGETHER`] gradients
pub(super) static SQUARE_SUMS: Kernel = Kernel::new(
    "optim",
    "square_sums",
    shader!("optim/square_sums"),
    crate::twin!(twin::square_sums),
)
.params::<SquareSumParams>()
.cost(square_sum_cost)
.turns(|args| {
    let p: SquareSumParams = args.params();
    let chunk = p.chunks.iter().max().map_or(0, |chunk| u64::from(*chunk));
    chunk.div_ceil(args.constant_or("WG", 256).max(1)) + 20
});

/// `root = sqrt(most / max(norm, most))`
pub(super) static CLIP_FACTOR: Kernel = Kernel::new(
    "optim",
    "clip_factor",
    shader!("optim/clip_factor"),
    crate::twin!(twin::clip_factor),
)
.params::<ClipFactorParams>()
.turns(|args| {
    let p: ClipFactorParams = args.params();
    (u64::from(p.count) + u64::from(p.checked)).div_ceil(args.constant_or("WG", 256).max(1)) + 12
});

crate::params! {
    pub(super) struct SquareSumParams {
        counts: [u32; 8],
        chunks: [u32; 8],
        ends: [u32; 8],
        gradients: u32,
        offset: u32,
        unused: [u32; 2],
    }
}

crate::params! {
    pub(super) struct ClipFactorParams {
        count: u32,
        checked: u32,
        most: f32,
    }
}

fn square_sum_cost(args: &CostArgs<'_>) -> Cost {
    let p: SquareSumParams = args.params();
    let count: f64 = p.counts.iter().map(|count| f64::from(*count)).sum();
    let groups = p.ends.iter().copied().max().unwrap_or(0);
    Cost { bytes: (count + 4.0 * f64::from(groups)) * 4.0, flops: 2.0 * count }
}

/// The most workgroups that share one gradient: enough to fill a GPU, few enough that the partial
/// sums of all gradients are a matter of microseconds for one workgroup.
const MOST_GROUPS: usize = 256;
/// The gradients that one launch takes: as many as storage bindings leave.
pub(super) const TOGETHER: usize = 7;
/// From so many elements on a gradient has a launch of its own, which need not choose between them.
const LARGE: usize = 1 << 16;
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
    pub(super) fn new(device: &Device, most: f32, gradients: usize) -> Result<Self> {
        let partials = Tensor::zeros(device, [gradients * MOST_GROUPS, 4], DType::F32)?;
        Ok(Self { most, partials })
    }

    /// Computes norm and factor of `gradients` into `state`: root of the factor, norm, skip, skipped
    /// steps. What
    /// is in `checked` must be finite too.
    pub(super) fn record<'a>(
        &self,
        gradients: impl Iterator<Item = &'a Tensor>,
        checked: impl Iterator<Item = &'a Tensor>,
        state: &Tensor,
    ) -> Result<()> {
        let device = self.partials.device();
        let count = self.record_sums(gradients, 0)?;
        let all = self.record_sums(checked, count)?;
        let params = ClipFactorParams { count, checked: all - count, most: self.most };
        let launch = device.launch(&CLIP_FACTOR).params(&params).sharing();
        launch.bind_next(&self.partials).bind_next(state).record()
    }

    /// Sums of squares from the place `offset` on; returns the place after the last.
    fn record_sums<'a>(
        &self,
        gradients: impl Iterator<Item = &'a Tensor>,
        mut offset: u32,
    ) -> Result<u32> {
        let (large, small): (Vec<_>, Vec<_>) = gradients.partition(|g| g.count() >= LARGE);
        for gradients in large.chunks(1).chain(small.chunks(TOGETHER)) {
            offset += self.record_some(gradients, offset)?;
        }
        Ok(offset)
    }

    /// One launch; returns the places that it fills.
    fn record_some(&self, gradients: &[&Tensor], offset: u32) -> Result<u32> {
        let mut params = SquareSumParams { offset, ..SquareSumParams::default() };
        let mut end = 0;
        for (j, gradient) in gradients.iter().enumerate() {
            let (chunk, groups) = chunks(gradient.count());
            end += groups;
            (params.counts[j], params.chunks[j]) = (gradient.count() as u32, chunk);
            params.ends[j] = end;
        }
        params.gradients = gradients.len() as u32;
        let launch = self.partials.device().launch(&SQUARE_SUMS).params(&params);
        let many = u32::from(gradients.len() > 1);
        let mut launch = launch.sharing().constant("MANY", many);
        for gradient in gradients.iter().cycle().take(TOGETHER) {
            launch = launch.bind_next(*gradient);
        }
        launch.bind_next(&self.partials).groups([end.max(1), 1, 1]).record()?;
        Ok(end)
    }
}
