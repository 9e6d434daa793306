//! Clipping by the norm of all gradients together (Pascanu, Mikolov and Bengio 2013).

use super::sharing::launch_sharing;
use crate::error::Result;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, UP, to_middle};
use crate::kernel::CostArgs;
use crate::{Cost, DType, Device, Tensor};

crate::kernel! {
    /// `partials[offset + k] = sums of g[i]^2 over chunk k` of up to [`TOGETHER`] gradients
    pub(super) static SQUARE_SUMS = "optim/square_sums";
    params = struct SquareSumsParams {
        counts: [u32; 8],
        chunks: [u32; 8],
        ends: [u32; 8],
        gradients: u32,
        offset: u32,
        unused: [u32; 2],
    };
    oracle = square_sums_oracle;
    cost = square_sum_cost;
    iterations = |args| {
        let p: SquareSumsParams = args.params();
        let chunk = p.chunks.iter().max().map_or(0, |chunk| u64::from(*chunk));
        chunk.div_ceil(args.constant("WG")) + 20
    };
}

crate::kernel! {
    /// `root = sqrt(most / max(norm, most))`
    pub(super) static CLIP_FACTOR = "optim/clip_factor";
    params = struct ClipFactorParams {
        count: u32,
        checked: u32,
        most: f32,
    };
    oracle = clip_factor_oracle;
    iterations = |args| {
        let p: ClipFactorParams = args.params();
        (u64::from(p.count) + u64::from(p.checked)).div_ceil(args.constant("WG")) + 12
    };
}

fn square_sum_cost(args: &CostArgs<'_>) -> Cost {
    let p: SquareSumsParams = args.params();
    let count: f64 = p.counts.iter().map(|count| f64::from(*count)).sum();
    let groups = p.ends.iter().copied().max().unwrap_or(0);
    Cost { bytes: (count + 4.0 * f64::from(groups)) * 4.0, flops: 2.0 * count }
}

/// The most workgroups that share one gradient: enough to fill a GPU, few enough that the partial
/// sums of all gradients are a matter of microseconds for one workgroup.
const MOST_GROUPS: usize = 256;
/// The gradients that one launch takes: as many as storage bindings leave.
const TOGETHER: usize = 7;
/// Their bindings.
const GRADIENTS: [&str; TOGETHER] = ["g0", "g1", "g2", "g3", "g4", "g5", "g6"];
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
        let launch = launch_sharing(device, &CLIP_FACTOR, &params);
        launch.bind("partials", &self.partials).bind("clip", state).record()
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
        let mut params = SquareSumsParams { offset, ..SquareSumsParams::default() };
        let mut end = 0;
        for (j, gradient) in gradients.iter().enumerate() {
            let (chunk, groups) = chunks(gradient.count());
            end += groups;
            (params.counts[j], params.chunks[j]) = (gradient.count() as u32, chunk);
            params.ends[j] = end;
        }
        params.gradients = gradients.len() as u32;
        let mut launch = launch_sharing(self.partials.device(), &SQUARE_SUMS, &params)
            .constant("MANY", gradients.len() > 1);
        for (j, name) in GRADIENTS.into_iter().enumerate() {
            launch = launch.bind_if(name, gradients.get(j).copied());
        }
        launch.bind("partials", &self.partials).workgroups(end as usize).record()?;
        Ok(end)
    }
}

/// Sums of squares of small, middling and large elements, and 1 if one is not finite.
fn squares_of<R: Real>(g: &[R]) -> [R; 4] {
    let zero = R::zero();
    let mut all = [zero; 4];
    for block in g.chunks(64) {
        let mut sums = [zero; 3];
        for v in block {
            let scale = to_middle(v.abs());
            let (small, large) = (scale > R::one(), scale < R::one());
            let q = (*v * scale) * (*v * scale);
            sums[0] += if small { q } else { zero };
            sums[1] += if small || large { zero } else { q };
            sums[2] += if large { q } else { zero };
        }
        all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
    }
    if g.iter().any(|v| !v.is_finite()) {
        all[3] = R::one();
    }
    all
}

fn square_sums_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SquareSumsParams = args.params();
    let partials = args.reals_mut("partials");
    let mut start = 0;
    for (j, gradient) in GRADIENTS.iter().enumerate().take(p.gradients as usize) {
        let end = p.ends[j] as usize;
        let places = &mut partials[4 * p.offset as usize..][4 * start..4 * end];
        let chunks = args.reals(gradient)[..p.counts[j] as usize].par_chunks(p.chunks[j] as usize);
        let places = places.par_chunks_exact_mut(4).zip(chunks);
        places.for_each(|(place, chunk)| place.copy_from_slice(&squares_of(chunk)));
        start = end;
    }
}

fn clip_factor_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipFactorParams = args.params();
    let partials = args.reals("partials").chunks_exact(4).take((p.count + p.checked) as usize);
    let zero = R::zero();
    let (mut sums, mut fault) = ([zero; 3], false);
    for (i, part) in partials.enumerate() {
        fault |= part[3] > zero;
        if i < p.count as usize {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part);
        }
    }
    let clip = args.reals_mut("clip");
    if fault {
        clip[..3].copy_from_slice(&[zero, zero, R::one()]);
        clip[3] += R::one();
        return;
    }
    let (up, down) = (R::lit(UP), R::lit(UP.recip()));
    let [small, middle, large] = sums;
    let (root, scale) = if large > zero {
        ((large + middle * down * down).sqrt(), up)
    } else if middle > zero {
        ((middle + small * down * down).sqrt(), R::one())
    } else {
        (small.sqrt(), down)
    };
    let greatest = R::lit(f64::from(f32::MAX));
    let norm = root.min(greatest / scale.max(R::one())) * scale;
    let most = R::lit(p.most.into());
    let factor = if norm > most { most.sqrt() / (root.sqrt() * scale.sqrt()) } else { R::one() };
    clip[..3].copy_from_slice(&[factor, norm, zero]);
}
