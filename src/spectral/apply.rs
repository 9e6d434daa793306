//! The last product: `Z X`, to tensors of their own or as a step of parameters.

use super::batch::Batch;
use super::product::{depth_iterations, tiled_iterations};
use super::tiling::Tiling;
use crate::elementwise::{FusedUpdate, UpdateConstants};
use crate::host::parallel::*;
use crate::host::{self, HostArgs, Real, floats};
use crate::kernel::{Cost, CostArgs, Variant};
use crate::{DType, Error, Launch, Result, Tensor};

crate::kernel! {
    /// Register tiles, no workgroup memory.
    pub(super) static APPLY_PRODUCT = "spectral/apply_product";
    params = ApplyProductParams;
    oracle = apply_product_oracle;
    host = host::spectral::apply_product;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| depth_iterations(args.params::<ApplyProductParams>().k);
}

crate::kernel! {
    /// Tiles in workgroup memory.
    pub(super) static APPLY_PRODUCT_TILED = "spectral/apply_product_tiled";
    params = ApplyProductParams;
    oracle = apply_product_oracle;
    host = host::spectral::apply_product;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| tiled_iterations(args.params::<ApplyProductParams>().k);
}

/// How operands are stored, and whether y is a parameter. Chosen from the operands.
const VARIANTS: &[Variant] = &[
    Variant::portable("f32", &[]),
    Variant::portable("f16", &["HALF"]),
    Variant::portable("f32, step", &["UPDATE"]),
    Variant::portable("f16, step", &["HALF", "UPDATE"]),
];

crate::params! {
    pub(crate) struct ApplyProductParams {
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
    let p: ApplyProductParams = args.params();
    let [m, n, k] = [p.m, p.n, p.k].map(f64::from);
    let rows = m.min(4.0 * f64::from(p.groups));
    let word = if args.when("HALF") { 2.0 } else { 4.0 };
    let outcome = rows * n * if args.when("UPDATE") { 8.0 } else { 4.0 };
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
    pub(super) fn steps(&self, batch: &Batch<'_>, steps: &[FusedUpdate<'_>]) -> Result<()> {
        for (i, step) in steps.iter().enumerate() {
            if step.parameter.count() != batch.count() || i >= batch.total() {
                let detail = format!("a step of {} along {}", step.parameter.shape(), batch.shape);
                return Err(Error::shape("apply_product", detail));
            }
            self.record(batch, step.parameter, i..i + 1, Some(step))?;
        }
        Ok(())
    }

    /// Records the launch for some matrices.
    fn record(
        &self,
        batch: &Batch<'_>,
        y: &Tensor,
        matrices: std::ops::Range<usize>,
        step: Option<&FusedUpdate<'_>>,
    ) -> Result<()> {
        self.launch(batch, y, matrices, step).record()
    }

    /// That launch, which the dispatcher may take in parts: some groups of rows.
    fn launch(
        &self,
        batch: &Batch<'_>,
        y: &Tensor,
        matrices: std::ops::Range<usize>,
        step: Option<&FusedUpdate<'_>>,
    ) -> Launch {
        let (short, long, tall) = (batch.m(), batch.n(), batch.tall());
        let [m, n, k] = if tall { [long, short, short] } else { [short, long, short] };
        let kernels = [&APPLY_PRODUCT, &APPLY_PRODUCT_TILED];
        let tiles = matrices.len() * m.div_ceil(8) * n.div_ceil(8);
        let tiling = Tiling::of(y.device(), kernels, m.min(n), tiles);
        let params = ApplyProductParams {
            m: m as u32,
            n: n as u32,
            k: k as u32,
            rows: batch.rows as u32,
            cols: batch.cols as u32,
            first: matrices.start as u32,
            entries: matrices.len() as u32,
            group_first: 0,
            groups: m as u32 / 4,
            ..step.map_or(ApplyProductParams::default(), step_params)
        };
        let (a, b) = if tall { (&self.x, &self.z) } else { (&self.z, &self.x) };
        let mut launch = y
            .device()
            .launch(tiling.kernel)
            .when("HALF", self.x.dtype() == DType::F16)
            .when("UPDATE", step.is_some())
            .params(&params)
            .in_parts("group_first", "groups", tiling.edge / 4)
            .constant("TALL", tall)
            .constant("SCALED", self.start.is_some())
            .bind("a", a)
            .bind("b", b)
            .bind_if("start", self.start.as_ref())
            .bind("y", y);
        if let Some(step) = step {
            launch = launch.bind("numbers", step.numbers).bind("clip", step.clip);
        }
        tiling.over(launch, matrices.len() * m.div_ceil(tiling.edge) * n.div_ceil(tiling.edge))
    }
}

fn step_params(step: &FusedUpdate<'_>) -> ApplyProductParams {
    let UpdateConstants { mode, decay, scale, gain, low, high } = step.constants;
    ApplyProductParams {
        numbers: step.place,
        mode,
        decay,
        scale,
        gain,
        low,
        high,
        ..ApplyProductParams::default()
    }
}

/// `r Z X`, or a step along it, from the definition: the rows of the launch, which may be a part of all.
fn apply_product_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ApplyProductParams = args.params();
    let [m, n, k, rows, cols] = [p.m, p.n, p.k, p.rows, p.cols].map(|v| v as usize);
    let (tall, scaled) = (args.flag("TALL"), args.flag("SCALED"));
    let (a, b, start) = (floats(args, "a"), floats(args, "b"), args.reals("start"));
    let ApplyProductParams { mode, decay, scale, gain, low, high, .. } = p;
    let constants = UpdateConstants { mode, decay, scale, gain, low, high };
    let y = args.reals_mut("y");
    let step = args.when("UPDATE").then(|| {
        let numbers = &args.reals("numbers")[p.numbers as usize..];
        (constants.rates(numbers), args.reals("clip")[2] != R::zero())
    });
    if step.is_some_and(|(_, skipped)| skipped) {
        return;
    }
    let first = (4 * p.group_first as usize).min(rows);
    let count = (4 * p.groups as usize).min(rows - first);
    for z in 0..p.entries as usize {
        let e = p.first as usize + z;
        let factor = if scaled { start[8 * e + 2] } else { R::one() };
        let (a, b) = (&a[e * m * k..][..m * k], &b[e * k * n..][..k * n]);
        let y = &mut y[(z * rows + first) * cols..][..count * cols];
        y.par_chunks_exact_mut(cols).zip(first..first + count).for_each(|(y, i)| {
            let mut product = vec![R::zero(); cols];
            for (j, b) in b.chunks_exact(n).enumerate() {
                let a = if tall { a[j * m + i] } else { a[i * k + j] };
                product.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * *b);
            }
            let Some(([decay, gain], _)) = step else {
                return y.iter_mut().zip(product).for_each(|(y, v)| *y = factor * v);
            };
            UpdateConstants::decayed(y, decay);
            y.iter_mut().zip(product).for_each(|(y, v)| *y -= gain * factor * v);
            constants.constrain(y);
        });
    }
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
                    factors.launch(&batch, &y, 0..2, None).within(limit).record().unwrap();
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
