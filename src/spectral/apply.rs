//! The last product: `Z X`, to tensors of their own or as a step of parameters.

use super::batch::Batch;
use super::product::{depth_turns, tiled_turns};
use super::twin;
use super::way::Way;
use crate::elementwise::{Step, Stride};
use crate::kernel::{Cost, CostArgs, Kernel, Variant, shader};
use crate::linalg::launch_flops;
use crate::{DType, Error, Result, Tensor};

/// Register tiles, no workgroup memory.
pub(super) static APPLY_PRODUCT: Kernel = Kernel::new(
    "spectral",
    "apply_product",
    shader!("spectral/apply_product"),
    crate::twin!(twin::apply_product),
)
.params::<Params>()
.variants(VARIANTS)
.cost(cost)
.turns(|args| depth_turns(args.params::<Params>().k));

/// Tiles in workgroup memory.
pub(super) static APPLY_PRODUCT_TILED: Kernel = Kernel::new(
    "spectral",
    "apply_product_tiled",
    shader!("spectral/apply_product_tiled"),
    crate::twin!(twin::apply_product),
)
.params::<Params>()
.variants(VARIANTS)
.cost(cost)
.turns(|args| tiled_turns(args.params::<Params>().k));

/// How operands are stored, and whether y is a parameter. Chosen from the operands.
const VARIANTS: &[Variant] = &[
    Variant::portable("f32", &[]),
    Variant::portable("f16", &["HALF"]),
    Variant::portable("f32, step", &["UPDATE"]),
    Variant::portable("f16, step", &["HALF", "UPDATE"]),
];

crate::params! {
    pub(super) struct Params {
        m: u32,
        n: u32,
        k: u32,
        rows: u32,
        cols: u32,
        first: u32,
        entries: u32,
        group_first: u32,
        groups: u32,
        numbers: u32,
        mode: u32,
        decay: f32,
        scale: f32,
        gain: f32,
        low: f32,
        high: f32,
    }
}

/// Every operand moved once; a parameter is read and written.
fn cost(args: &CostArgs<'_>) -> Cost {
    let p: Params = args.params();
    let [m, n, k] = [p.m, p.n, p.k].map(f64::from);
    let rows = m.min(4.0 * f64::from(p.groups));
    let steps = args.words.len() > 4;
    // f16 are half as many words as elements.
    let word =
        if args.words[0] as f64 * 1.5 < f64::from(p.first + p.entries) * m * k { 2.0 } else { 4.0 };
    let outcome = rows * n * if steps { 8.0 } else { 4.0 };
    let bytes = word * (rows * k + k * n) + outcome;
    let entries = f64::from(p.entries);
    Cost { bytes: bytes * entries, flops: 2.0 * rows * n * k * entries }
}

/// Factors of a batch's outcome: `r Z X` for each of its matrices.
#[derive(Debug)]
pub(super) struct Factors {
    /// `[total, m, m]`
    pub(super) z: Tensor,
    /// `[total, m, n]`
    pub(super) x: Tensor,
    /// `[total, 2, 4]` of a [`Plan`](super::plan::Plan), which holds r; 1 without one.
    pub(super) start: Option<Tensor>,
}

impl Factors {
    /// The outcome as a tensor for each of the batch.
    pub(super) fn tensors(&self, batch: &Batch<'_>) -> Result<Vec<Tensor>> {
        let outcome = |(_, first): (&Tensor, usize)| {
            let y = Tensor::empty(batch.device(), batch.shape, DType::F32)?;
            self.record(batch, &y, first..first + batch.entries, None)?;
            Ok(y)
        };
        batch.parts().map(outcome).collect()
    }

    /// A step along the outcome for a parameter for each of the batch's matrices.
    pub(super) fn steps(&self, batch: &Batch<'_>, steps: &[Step<'_>]) -> Result<()> {
        for (i, step) in steps.iter().enumerate() {
            if step.parameter.count() != batch.count() || i >= batch.total() {
                let detail = format!("a step of {} along {}", step.parameter.shape(), batch.shape);
                return Err(Error::shape("apply_product", detail));
            }
            self.record(batch, step.parameter, i..i + 1, Some(step))?;
        }
        Ok(())
    }

    /// Records the launches for some matrices, each of at most about as many operations as a launch
    /// may have.
    fn record(
        &self,
        batch: &Batch<'_>,
        y: &Tensor,
        matrices: std::ops::Range<usize>,
        step: Option<&Step<'_>>,
    ) -> Result<()> {
        self.record_within(launch_flops(y.device()), batch, y, matrices, step)
    }

    fn record_within(
        &self,
        limit: f64,
        batch: &Batch<'_>,
        y: &Tensor,
        matrices: std::ops::Range<usize>,
        step: Option<&Step<'_>>,
    ) -> Result<()> {
        let (short, long) = (batch.m(), batch.n());
        let [m, n, k] = if batch.tall() { [long, short, short] } else { [short, long, short] };
        let kernels = [&APPLY_PRODUCT, &APPLY_PRODUCT_TILED];
        let tiles = matrices.len() * m.div_ceil(8) * n.div_ceil(8);
        let way = Way::of(y.device(), kernels, m.min(n), tiles);
        let groups = m / 4;
        let flops = 2.0 * (m * n * k * matrices.len()) as f64;
        let parts = (flops / limit).ceil().max(1.0) as usize;
        let most = groups.div_ceil(parts).next_multiple_of(way.edge / 4);
        for group_first in (0..groups).step_by(most) {
            let params = Params {
                m: m as u32,
                n: n as u32,
                k: k as u32,
                rows: batch.rows as u32,
                cols: batch.cols as u32,
                first: matrices.start as u32,
                entries: matrices.len() as u32,
                group_first: group_first as u32,
                groups: most.min(groups - group_first) as u32,
                ..step.map_or(Params::default(), step_params)
            };
            self.launch(&way, &params, batch.tall(), y, step)?;
        }
        Ok(())
    }

    fn launch(
        &self,
        way: &Way,
        params: &Params,
        tall: bool,
        y: &Tensor,
        step: Option<&Step<'_>>,
    ) -> Result<()> {
        let half = usize::from(self.x.dtype() == DType::F16);
        let variant = half + if step.is_some() { 2 } else { 0 };
        let mut launch = y.device().launch(way.kernel).variant_at(variant).params(params);
        launch = launch.constant("TALL", u32::from(tall));
        launch = launch.constant("SCALED", u32::from(self.start.is_some()));
        launch = way.sized(launch);
        let (a, b) = if tall { (&self.x, &self.z) } else { (&self.z, &self.x) };
        let unused;
        let start = match &self.start {
            Some(start) => start,
            None => {
                unused = Tensor::empty(y.device(), [4], DType::F32)?;
                &unused
            }
        };
        launch = launch.bind_next(a).bind_next(b).bind_next(start).bind_next(y);
        if let Some(step) = step {
            launch = launch.bind_next(step.numbers).bind_next(step.clip);
        }
        let rows = 4 * params.groups as usize;
        let tiles = rows.div_ceil(way.edge) * (params.n as usize).div_ceil(way.edge);
        launch.items_of(params.entries as usize * tiles, way.workgroup).record()
    }
}

fn step_params(step: &Step<'_>) -> Params {
    let Stride { mode, decay, scale, gain, low, high } = step.stride;
    Params { numbers: step.place, mode, decay, scale, gain, low, high, ..Params::default() }
}

#[cfg(test)]
mod tests {
    use super::Factors;
    use crate::spectral::batch::Batch;
    use crate::{DType, Device, Tensor};

    /// Launches over parts of the rows together cover what one launch does.
    #[test]
    fn split_launches_cover_the_product() {
        let gpus = Device::list().into_iter().map(|a| Device::select(&a.name).unwrap());
        for device in [Device::host()].into_iter().chain(gpus) {
            for [rows, cols] in [[38, 75], [75, 38]] {
                let tensor = |count: usize, shape: [usize; 3]| {
                    let values: Vec<f32> =
                        (0..count).map(|i| (i * 37 % 101) as f32 * 0.02).collect();
                    Tensor::from_slice(&device, &values, shape).unwrap()
                };
                let (z, x) = (tensor(2 * 40 * 40, [2, 40, 40]), tensor(2 * 40 * 76, [2, 40, 76]));
                let like = Tensor::zeros(&device, [2, rows, cols], DType::F32).unwrap();
                let batch = Batch::new("test", &[&like]).unwrap();
                let factors = Factors { z, x, start: None };
                let under = |limit: f64| {
                    let y = Tensor::zeros(&device, [2, rows, cols], DType::F32).unwrap();
                    factors.record_within(limit, &batch, &y, 0..2, None).unwrap();
                    y.to_vec::<f32>().unwrap()
                };
                let whole = under(f64::INFINITY);
                for limit in [1e3, 1e5, 4e5] {
                    let parts = under(limit);
                    let close = whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-3);
                    assert!(close, "{rows} x {cols} within {limit} on {device}");
                }
            }
        }
    }
}
