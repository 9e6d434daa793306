//! What the products within heads share: sizes, tile, launches.

use crate::dispatch::Launch;
use crate::kernel::{Cost, CostArgs, Needs, Variant};
use crate::linalg::{MAX_LAUNCH_FLOPS, register_tile, split_depth};
use crate::{DType, Result, Tensor, reduce};

/// The parameters of the kernels, as in `shared/heads.wgsl`.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) steps: u32,
    pub(super) lanes: u32,
    pub(super) k: u32,
    pub(super) n: u32,
    pub(super) lane_first: u32,
    pub(super) lane_count: u32,
    pub(super) chunk: u32,
    pub(super) scale: f32,
}

pub(super) const fn variant(name: &'static str, features: &'static [&'static str]) -> Variant {
    Variant { name, features, needs: Needs::NOTHING }
}

/// The fewest tokens of a chunk, whose bounds are those of words.
const WORD: usize = 32;

/// Tokens `[S, L, d]`: lanes are the heads of all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Tokens S.
    pub(super) steps: usize,
    /// Lanes L.
    pub(super) count: usize,
    /// Channels d of a head.
    pub(super) width: usize,
}

impl Lanes {
    /// The parameters of a product over all lanes, with `k` and `n` as the kernel takes them.
    pub(super) fn params(&self, k: usize, n: usize, scale: f32) -> Params {
        Params {
            steps: self.steps as u32,
            lanes: self.count as u32,
            k: k as u32,
            n: n as u32,
            lane_first: 0,
            lane_count: self.count as u32,
            chunk: (self.steps.next_multiple_of(WORD)) as u32,
            scale,
        }
    }
}

/// Records a product whose tile is `rows x cols` of each lane, in launches over some lanes each where
/// one launch would be too long; `prepare` adds constants and bindings to each.
pub(super) fn launch(
    device: &crate::Device,
    params: Params,
    [rows, cols, depth, parts]: [usize; 4],
    prepare: impl Fn() -> Launch,
) -> Result<()> {
    let lanes = params.lanes as usize;
    let tile = register_tile(device.capabilities(), [rows, cols, lanes * parts]);
    let flops = 2.0 * rows as f64 * cols as f64 * depth as f64;
    let most = if device.is_host() { f64::INFINITY } else { MAX_LAUNCH_FLOPS };
    let step = ((most / flops.max(1.0)) as usize).clamp(1, lanes.max(1));
    let [rb, cb] = tile.blocks;
    let tiles = rows.div_ceil(4).div_ceil(rb) * cols.div_ceil(4 * cb) * parts;
    for first in (0..lanes).step_by(step) {
        let count = step.min(lanes - first);
        let params = Params { lane_first: first as u32, lane_count: count as u32, ..params };
        let launch = prepare().params(&params).constant("WG", tile.workgroup);
        let launch = launch.constant("RB", rb as u32).constant("CB", cb as u32);
        launch.items(tiles * count, tile.workgroup).record()?;
    }
    Ok(())
}

/// A sum over tokens `[L, d, d]`: where the matrices are too few to fill a GPU, the tokens are split
/// into chunks, whose sums are then added.
pub(super) fn summed(
    lanes: Lanes,
    a: &Tensor,
    scale: f32,
    prepare: impl Fn(&Tensor) -> Launch,
) -> Result<Tensor> {
    let device = a.device();
    let Lanes { steps, count, width } = lanes;
    let tile = register_tile(device.capabilities(), [width, width, count]);
    let [rb, cb] = tile.blocks;
    let tiles = count * width.div_ceil(4 * rb) * width.div_ceil(4 * cb);
    let mut params = lanes.params(width, width, scale);
    if !device.is_host() {
        params.chunk = split_depth(steps, tiles, tile.busy).next_multiple_of(WORD) as u32;
    }
    let parts = steps.div_ceil(params.chunk as usize);
    let c = Tensor::empty(device, [parts, count, width, width], DType::F32)?;
    launch(device, params, [width, width, steps, parts], || prepare(&c))?;
    if parts == 1 {
        return c.reshape([count, width, width]);
    }
    reduce::sum(&c, &[0], false)
}

/// `2 S k n` operations a lane; every binding moved once.
pub(super) fn cost(args: &CostArgs<'_>) -> Cost {
    let p: Params = args.params();
    let part = f64::from(p.lane_count) / f64::from(p.lanes.max(1));
    let products = f64::from(p.steps) * f64::from(p.k) * f64::from(p.n) * f64::from(p.lane_count);
    Cost { bytes: args.all_bytes() * part, flops: 2.0 * products }
}
