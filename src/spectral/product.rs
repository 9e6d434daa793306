//! Products that are symmetric matrices: half of each is computed.

use super::tiling::Tiling;
use crate::host::parallel::*;
use crate::host::spectral::Written;
use crate::host::{self, HostArgs, Real, floats};
use crate::kernel::{Cost, CostArgs, Variant};
use crate::{DType, Launch, Result, Tensor};

crate::kernel! {
    /// Register tiles, no workgroup memory.
    pub(super) static SYMMETRIC_PRODUCT = "spectral/symmetric_product";
    params = SymmetricProductParams;
    oracle = symmetric_product_oracle;
    host = host::spectral::symmetric_product;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| depth_iterations(args.params::<SymmetricProductParams>().k);
}

crate::kernel! {
    /// Tiles in workgroup memory.
    pub(super) static SYMMETRIC_PRODUCT_TILED = "spectral/symmetric_product_tiled";
    params = SymmetricProductParams;
    oracle = symmetric_product_oracle;
    host = host::spectral::symmetric_product;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| tiled_iterations(args.params::<SymmetricProductParams>().k);
}

crate::params! {
    pub(crate) struct SymmetricProductParams {
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

/// The iterations of the loop over the depth, four at a time: loops over the blocks of a tile are written
/// out by the compiler.
pub(super) fn depth_iterations(depth: u32) -> u64 {
    u64::from(depth) / 2 + 64
}

/// Likewise through workgroup memory: a little more than the depth.
pub(super) fn tiled_iterations(depth: u32) -> u64 {
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
    let p: SymmetricProductParams = args.params();
    let (m, k, parts) = (f64::from(p.m), f64::from(p.k), f64::from(p.parts));
    let all = parts * f64::from(p.batch);
    let moved = m * k * (all + f64::from(p.batch)) + m * m * all;
    let word = if args.when("HALF") { 2.0 } else { 4.0 };
    let edge = (m / f64::from(p.edge.max(1))).ceil();
    let part = f64::from(p.tile_count) / (all * edge * (edge + 1.0) / 2.0).max(1.0);
    Cost { bytes: word * moved * part, flops: m * (m + 1.0) * k * all * part }
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
        self.launch(output).record()
    }

    /// The launch over all tiles, which the dispatcher may take in parts.
    fn launch(&self, output: Output<'_>) -> Launch {
        let (part_first, parts, first, second, second_start) = match output {
            Output::First(c) => (0, 1, Some(c), None, 0),
            Output::Second(c, start) => (1, 1, None, Some(c), start),
            Output::Both(c, second, start) => (0, 2, Some(c), Some(second), start),
        };
        let half_out = first.or(second).is_some_and(|c| c.dtype() == DType::F16);
        let tiling = self.tiling();
        let edge = self.m.div_ceil(tiling.edge);
        let tiles = parts * self.batch * edge * (edge + 1) / 2;
        let (plan, step, steps, [u, v, w, x]) = match self.coefficients {
            Coefficients::Fixed(factors) => (None, 0, 0, factors),
            Coefficients::Plan { plan, step, steps } => (Some(plan), step, steps, [0.0; 4]),
        };
        let params = SymmetricProductParams {
            m: self.m as u32,
            k: self.k as u32,
            batch: self.batch as u32,
            part_first,
            parts: parts as u32,
            tile_first: 0,
            tile_count: tiles as u32,
            edge: tiling.edge as u32,
            step: step as u32,
            steps: steps as u32,
            second_start: second_start as u32,
            u,
            v,
            w,
            x,
        };
        let launch = self.a.device().launch(tiling.kernel);
        let launch = launch
            .when("HALF", self.a.dtype() == DType::F16)
            .when("HALF_OUT", half_out)
            .params(&params)
            .in_parts("tile_first", "tile_count", 1)
            .constant("PLAN", plan.is_some())
            .constant("ROWS", self.rows)
            .bind("a", self.a)
            .bind("b", self.b)
            .bind_if("plan", plan)
            .bind_if("c", first)
            .bind_if("second", second);
        tiling.over(launch, tiles)
    }

    fn tiling(&self) -> Tiling {
        let edge = self.m.div_ceil(8);
        let kernels = [&SYMMETRIC_PRODUCT, &SYMMETRIC_PRODUCT_TILED];
        Tiling::of(self.a.device(), kernels, self.m, self.batch * edge * (edge + 1) / 2)
    }
}

/// The products from the definition: the tiles of the launch, which may be a part of all, and their
/// mirror images.
fn symmetric_product_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SymmetricProductParams = args.params();
    let [m, k, batch, edge] = [p.m, p.k, p.batch, p.edge].map(|v| v as usize);
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    let start = p.second_start as usize * m * m;
    let mut outputs = [Written::take(args, "c", 0), Written::take(args, "second", start)];
    let side = m.div_ceil(edge);
    let tiles = side * (side + 1) / 2;
    for number in 0..p.parts as usize * batch {
        let (part, z) = (p.part_first as usize + number / batch, number % batch);
        let factors = p.factors(args, part, z);
        if factors.iter().all(|f| *f == R::zero()) {
            continue;
        }
        let (a, b) = (&a[(part * batch + z) * m * k..][..m * k], &b[z * m * k..][..m * k]);
        let value = combination([a, b], [m, k], args.flag("ROWS"), factors);
        let c = &mut outputs[part].reals()[z * m * m..][..m * m];
        let first = (p.tile_first as usize).saturating_sub(number * tiles);
        let end = ((p.tile_first + p.tile_count) as usize).saturating_sub(number * tiles);
        for (top, left) in (first..end.min(tiles)).map(|tile| upper_tile(tile, side)) {
            for i in top * edge..m.min((top + 1) * edge) {
                for j in (left * edge).max(i)..m.min((left + 1) * edge) {
                    c[i * m + j] = value[i * m + j];
                    c[j * m + i] = value[i * m + j];
                }
            }
        }
    }
    outputs.into_iter().for_each(Written::finish);
}

/// `u I + v A + x B + w A B` on and above the diagonal; B by its rows or its columns.
fn combination<R: Real>(
    [a, b]: [&[R]; 2],
    [m, k]: [usize; 2],
    rows: bool,
    [u, v, w, x]: [R; 4],
) -> Vec<R> {
    let mut c = vec![R::zero(); m * m];
    c.par_chunks_exact_mut(m).enumerate().for_each(|(i, c)| {
        if w != R::zero() {
            for (l, a) in a[i * k..][..k].iter().enumerate() {
                for (j, c) in c.iter_mut().enumerate().skip(i) {
                    *c += *a * if rows { b[j * k + l] } else { b[l * m + j] };
                }
            }
        }
        for (j, c) in c.iter_mut().enumerate().skip(i) {
            *c *= w;
            // A factor of 0 takes nothing, be it 0 times infinity.
            for (factor, from) in [(v, a), (x, b)] {
                if factor != R::zero() {
                    *c += factor * from[i * m + j];
                }
            }
        }
        c[i] += u;
    });
    c
}

impl SymmetricProductParams {
    /// u, v, w and x of a matrix.
    pub(crate) fn factors<R: Real>(&self, args: &HostArgs<'_, R>, part: usize, z: usize) -> [R; 4] {
        if !args.flag("PLAN") {
            return [self.u, self.v, self.w, self.x].map(|v| R::lit(f64::from(v)));
        }
        let at = 4 * ((z * self.steps as usize + self.step as usize) * 2 + part);
        std::array::from_fn(|i| args.reals("plan")[at + i])
    }
}

/// The tile number `tile` on and above the diagonal of `n x n`, in the order of the shader.
pub(crate) fn upper_tile(tile: usize, n: usize) -> (usize, usize) {
    let (i, j) = (tile / (n + 1), tile % (n + 1));
    if j < n - i { (i, i + j) } else { (n - 1 - i, j - 1) }
}

#[cfg(test)]
mod tests {
    use super::{Coefficients, Output, SymmetricProduct};
    use crate::{DType, Device, Tensor};

    /// Launches over parts of the tiles together cover what one launch does; the host is told of parts as
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
                product.launch(output).within(limit).record().unwrap();
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
