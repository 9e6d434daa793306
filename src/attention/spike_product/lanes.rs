//! What the products within heads share: sizes, tile, launches.

use crate::dispatch::Launch;
use crate::kernel::{Cost, CostArgs};
use crate::linalg::{register_tile, split_depth};
use crate::{DType, Device, Result, Tensor, reduce};

crate::params! {
/// The parameters of the kernels, as in `attention/heads.wgsl`.
pub(crate) struct HeadParams {
    steps: u32,
    lanes: u32,
    k: u32,
    n: u32,
    lane_first: u32,
    lane_count: u32,
    chunk: u32,
    scale: f32,
}}

/// The fewest tokens of a chunk, whose bounds are those of words.
const WORD: usize = 32;

/// The most tokens of a chunk on a software adapter, at two iterations of a loop each: llvmpipe leaves
/// a shader in silence after 65,535.
const LONGEST: usize = 1015 * WORD;

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
    pub(super) fn params(&self, k: usize, n: usize, scale: f32) -> HeadParams {
        HeadParams {
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

/// A product over all lanes, whose tile is `rows x cols` of each; `launch` has its constants and
/// bindings.
pub(super) fn over_lanes(
    device: &Device,
    launch: Launch,
    params: &HeadParams,
    [rows, cols, parts]: [usize; 3],
) -> Launch {
    let lanes = params.lanes as usize;
    let tile = register_tile(device.tuning(), [rows, cols, lanes * parts]);
    let [rb, cb] = tile.blocks;
    let tiles = rows.div_ceil(4).div_ceil(rb) * cols.div_ceil(4 * cb) * parts;
    let launch = launch.params(params).constant("WG", tile.workgroup);
    let launch = launch.constant("RB", rb as u32).constant("CB", cb as u32);
    launch.in_parts("lane_first", "lane_count", 1).items(tiles * lanes)
}

/// A sum over tokens `[L, d, d]`: where the matrices are too few to fill a GPU, the tokens are split
/// into chunks, whose sums are then added.
pub(super) fn summed(
    lanes: Lanes,
    a: &Tensor,
    scale: f32,
    prepare: impl FnOnce(&Tensor) -> Launch,
) -> Result<Tensor> {
    let device = a.device();
    let Lanes { steps, count, width } = lanes;
    let tile = register_tile(device.tuning(), [width, width, count]);
    let [rb, cb] = tile.blocks;
    let tiles = count * width.div_ceil(4 * rb) * width.div_ceil(4 * cb);
    let mut params = lanes.params(width, width, scale);
    if device.tuning().chunks {
        let chunk = split_depth(steps, tiles, tile.busy).next_multiple_of(WORD);
        let limited = device.capabilities().max_iterations.is_some();
        params.chunk = if limited { chunk.min(LONGEST) } else { chunk } as u32;
    }
    let parts = steps.div_ceil(params.chunk as usize);
    let c = Tensor::empty(device, [parts, count, width, width], DType::F32)?;
    over_lanes(device, prepare(&c), &params, [width, width, parts]).record()?;
    if parts == 1 {
        return c.reshape([count, width, width]);
    }
    reduce::sum(&c, &[0], false)
}

/// `2 S k n` operations a lane; every binding moved once.
pub(super) fn cost(args: &CostArgs<'_>) -> Cost {
    let p: HeadParams = args.params();
    let part = f64::from(p.lane_count) / f64::from(p.lanes.max(1));
    let products = f64::from(p.steps) * f64::from(p.k) * f64::from(p.n) * f64::from(p.lane_count);
    Cost { bytes: args.all_bytes() * part, flops: 2.0 * products }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, over_lanes};
    use crate::attention::spike_product::{outer::SPIKE_OUTER, rows::SPIKE_ROWS};
    use crate::{DType, Device, Kernel, Tensor};

    const LANES: Lanes = Lanes { steps: 37, count: 5, width: 12 };

    /// All launches of a product under a limit of operations.
    fn under(most: f64, device: &Device, kernel: &'static Kernel) -> Vec<f32> {
        let Lanes { steps, count, width } = LANES;
        let spikes: Vec<bool> = (0..steps * count * width).map(|i| i * i % 7 < 3).collect();
        let spikes = Tensor::from_bools(device, &spikes, [steps, count, width]).unwrap();
        let is_rows = std::ptr::eq(kernel, &raw const SPIKE_ROWS);
        let values: Vec<f32> = (0..count * width * steps.max(width)).map(|i| i as f32).collect();
        let b = Tensor::from_slice(device, &values, [values.len()]).unwrap();
        let rows = if is_rows { steps } else { width };
        let c = Tensor::zeros(device, [count * rows * width], DType::F32).unwrap();
        let params = LANES.params(width, width, 0.5);
        let launch = device.launch(kernel).when("VEC", true);
        let launch = launch.bind("a", &spikes).bind("b", &b).bind("c", &c);
        over_lanes(device, launch, &params, [rows, width, 1]).within(most).record().unwrap();
        c.to_vec().unwrap()
    }

    #[test]
    fn split_launches_cover_the_product() {
        let gpus = Device::list().into_iter().map(|a| Device::select(&a.name).unwrap());
        for device in [Device::host()].into_iter().chain(gpus) {
            for kernel in [&SPIKE_ROWS, &SPIKE_OUTER] {
                let whole = under(f64::INFINITY, &device, kernel);
                assert!(whole.iter().any(|v| *v != 0.0));
                // One lane a launch, and two.
                for most in [1.0, 2.5 * 2.0 * 37.0 * 144.0] {
                    assert_eq!(under(most, &device, kernel), whole, "{} {device}", kernel.name);
                }
            }
        }
    }
}
