//! Products that are symmetric matrices: half of each is computed.

use super::twin;
use super::way::Way;
use crate::kernel::{Cost, CostArgs, Kernel, Variant, shader};
use crate::linalg::launch_flops;
use crate::{DType, Result, Tensor};

/// Register tiles, no workgroup memory.
pub(super) static SYMMETRIC_PRODUCT: Kernel = Kernel::new(
    "spectral",
    "symmetric_product",
    shader!("spectral/symmetric_product"),
    crate::twin!(twin::symmetric_product),
)
.params::<Params>()
.variants(VARIANTS)
.cost(cost)
.turns(|args| depth_turns(args.params::<Params>().k));

/// Tiles in workgroup memory.
pub(super) static SYMMETRIC_PRODUCT_TILED: Kernel = Kernel::new(
    "spectral",
    "symmetric_product_tiled",
    shader!("spectral/symmetric_product_tiled"),
    crate::twin!(twin::symmetric_product),
)
.params::<Params>()
.variants(VARIANTS)
.cost(cost)
.turns(|args| tiled_turns(args.params::<Params>().k));

crate::params! {
    pub(super) struct Params {
        m: u32,
        k: u32,
        batch: u32,
        part_first: u32,
        parts: u32,
        tile_first: u32,
        tile_count: u32,
        edge: u32,
        step: u32,
        steps: u32,
        second_start: u32,
        u: f32,
        v: f32,
        w: f32,
        x: f32,
    }
}

/// The turns of the loop over the depth, four at a time: loops over the blocks of a tile are written
/// out by the compiler.
pub(super) fn depth_turns(depth: u32) -> u64 {
    u64::from(depth) / 2 + 64
}

/// Likewise through workgroup memory: a little more than the depth.
pub(super) fn tiled_turns(depth: u32) -> u64 {
    u64::from(depth) + u64::from(depth) / 8 + 64
}

/// How operands and products are stored. Chosen from the operands.
const VARIANTS: &[Variant] = &[
    Variant::portable("f32", &[]),
    Variant::portable("f16 to f32", &["HALF"]),
    Variant::portable("f16", &["HALF", "HALF_OUT"]),
];

/// `m (m + 1) k` operations a matrix for the half that is computed; every operand moved once.
fn cost(args: &CostArgs<'_>) -> Cost {
    let p: Params = args.params();
    let (m, k, parts) = (f64::from(p.m), f64::from(p.k), f64::from(p.parts));
    let all = parts * f64::from(p.batch);
    let moved = m * k * (all + f64::from(p.batch)) + m * m * all;
    // f16 are half as many words as elements.
    let half = (args.words[1] as f64) < 0.75 * m * k * f64::from(p.batch);
    let word = if half { 2.0 } else { 4.0 };
    Cost { bytes: word * moved, flops: m * (m + 1.0) * k * all }
}

/// The coefficients of `u I + v A + x B + w A B`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coefficients<'a> {
    /// The same for all matrices: u, v, w, x.
    Fixed([f32; 4]),
    /// Those of launch `step` of `steps` in a plan `[batch, steps, 2, 4]`.
    Plan { plan: &'a Tensor, step: usize, steps: usize },
}

/// A batch of symmetric products `C = u I + v A + x B + w A B`.
#[derive(Debug, Clone, Copy)]
pub(super) struct SymmetricProduct<'a> {
    /// `[parts, batch, m, k]`, of which the parts named are used.
    pub(super) a: &'a Tensor,
    /// `[batch, k, m]`; `[batch, m, k]` if `rows`.
    pub(super) b: &'a Tensor,
    pub(super) rows: bool,
    pub(super) batch: usize,
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) coefficients: Coefficients<'a>,
}

/// The factors of the plain product `A B`.
pub(super) const PRODUCT: [f32; 4] = [0.0, 0.0, 1.0, 0.0];

/// `u I + v A + x B + w A B`, factors in the order u, v, w, x, for symmetric matrices `[batch, m, m]`
/// that commute.
pub(super) fn commuting([a, b]: [&Tensor; 2], [u, v, w, x]: [f32; 4]) -> Result<Tensor> {
    let y = Tensor::empty(a.device(), *a.shape(), a.dtype())?;
    let (batch, m) = (y.shape()[0], y.shape()[1]);
    let coefficients = Coefficients::Fixed([u, v, w, x]);
    let product = SymmetricProduct { a, b, rows: false, batch, m, k: m, coefficients };
    product.record(Output::First(&y))?;
    Ok(y)
}

/// Where the products go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Output<'a> {
    /// The first part alone.
    First(&'a Tensor),
    /// The second part alone, from this matrix of the tensor on.
    Second(&'a Tensor, usize),
    /// Both.
    Both(&'a Tensor, &'a Tensor, usize),
}

impl SymmetricProduct<'_> {
    pub(super) fn record(&self, output: Output<'_>) -> Result<()> {
        self.record_within(launch_flops(self.a.device()), output)
    }

    /// Records launches of at most about `limit` operations.
    fn record_within(&self, limit: f64, output: Output<'_>) -> Result<()> {
        let of = |output: Output<'_>| match output {
            Output::First(c) | Output::Second(c, _) | Output::Both(c, ..) => c.dtype(),
        };
        let unused = &Tensor::empty(self.a.device(), [8], of(output))?;
        let no_plan = &Tensor::empty(self.a.device(), [4], DType::F32)?;
        let (part_first, parts, first, second, second_start) = match output {
            Output::First(c) => (0, 1, c, unused, 0),
            Output::Second(c, start) => (1, 1, unused, c, start),
            Output::Both(c, second, start) => (0, 2, c, second, start),
        };
        let device = self.a.device();
        let way = self.way();
        let edge = self.m.div_ceil(way.edge);
        let tiles = parts * self.batch * edge * (edge + 1) / 2;
        let tile_flops = 2.0 * (way.edge * way.edge * self.k) as f64;
        let most = ((limit / tile_flops) as usize).clamp(1, tiles.max(1));
        let (plan, step, steps, [u, v, w, x]) = match self.coefficients {
            Coefficients::Fixed(factors) => (None, 0, 0, factors),
            Coefficients::Plan { plan, step, steps } => (Some(plan), step, steps, [0.0; 4]),
        };
        for tile_first in (0..tiles).step_by(most) {
            let tile_count = most.min(tiles - tile_first);
            let params = Params {
                m: self.m as u32,
                k: self.k as u32,
                batch: self.batch as u32,
                part_first,
                parts: parts as u32,
                tile_first: tile_first as u32,
                tile_count: tile_count as u32,
                edge: way.edge as u32,
                step: step as u32,
                steps: steps as u32,
                second_start: second_start as u32,
                u,
                v,
                w,
                x,
            };
            let half = usize::from(self.a.dtype() == DType::F16);
            let variant = half + usize::from(of(output) == DType::F16);
            let mut launch = device.launch(way.kernel).variant_at(variant).params(&params);
            launch = launch.constant("PLAN", u32::from(plan.is_some()));
            launch = launch.constant("ROWS", u32::from(self.rows));
            launch = way
                .sized(launch)
                .bind_next(self.a)
                .bind_next(self.b)
                .bind_next(plan.unwrap_or(no_plan));
            launch
                .bind_next(first)
                .bind_next(second)
                .items_of(tile_count, way.workgroup)
                .record()?;
        }
        Ok(())
    }

    fn way(&self) -> Way {
        let edge = self.m.div_ceil(8);
        let kernels = [&SYMMETRIC_PRODUCT, &SYMMETRIC_PRODUCT_TILED];
        Way::of(self.a.device(), kernels, self.m, self.batch * edge * (edge + 1) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::{Coefficients, Output, SymmetricProduct};
    use crate::{DType, Device, Tensor};

    /// Launches over parts of the tiles together cover what one launch does; the twin is told of parts as
    /// well.
    #[test]
    fn split_launches_cover_the_products() {
        let gpus = Device::list().into_iter().map(|a| Device::select(&a.name).unwrap());
        for device in [Device::host()].into_iter().chain(gpus) {
            let (m, batch) = (36, 3);
            let value = |i: usize| (i * 37 % 101) as f32 * 0.02 - 1.0;
            // Symmetric: what is not computed is the mirror image of what is.
            let of = |i: usize| value((i / m % m) * (i % m) + i / m / m);
            let values: Vec<f32> = (0..2 * batch * m * m).map(of).collect();
            let pair = Tensor::from_slice(&device, &values, [2 * batch, m, m]).unwrap();
            let one = Tensor::from_slice(&device, &values[..batch * m * m], [batch, m, m]).unwrap();
            let coefficients = Coefficients::Fixed([0.5, 1.0, -0.25, 2.0]);
            let (a, b) = (&pair, &one);
            let product = SymmetricProduct { a, b, rows: false, batch, m, k: m, coefficients };
            let under = |limit: f64| {
                let outputs = [batch, 2 * batch]
                    .map(|count| Tensor::zeros(&device, [count, m, m], DType::F32).unwrap());
                let output = Output::Both(&outputs[0], &outputs[1], batch);
                product.record_within(limit, output).unwrap();
                outputs.map(|t| t.to_vec::<f32>().unwrap()).concat()
            };
            let whole = under(f64::INFINITY);
            for limit in [1e3, 3e4, 1e6] {
                let parts = under(limit);
                let close = whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(close, "within {limit} on {device}");
            }
        }
    }
}
