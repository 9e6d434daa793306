//! The low-rank factor of a momentum, as Dion keeps it: one power iteration a step.

use super::numbers::Numbers;
use super::sharing::launch_sharing;
use super::update::{Form, Output, Shared};
use crate::elementwise::UpdateConstants;
use crate::error::Result;
use crate::host::{HostArgs, Real, greatest, to_one};
use crate::kernel::CostArgs;
use crate::linalg::{Layout, matmul};
use crate::random::threefry;
use crate::reduce::{RowIterations, WALKERS, over_columns};
use crate::{DType, Tensor};

crate::kernel! {
    /// The inverse of the triangular factor of a Gram matrix.
    pub(super) static GRAM_FACTOR = "optim/gram_factor";
    params = struct GramFactorParams {
        n: u32,
    };
    oracle = gram_factor_oracle;
    iterations = factor_iterations;
}

crate::kernel! {
    /// Columns divided by their norms, and by their norms and an eps.
    pub(super) static UNIT_COLUMNS = "optim/unit_columns";
    params = struct UnitColumnsParams {
        rows: u32,
        columns: u32,
        eps: f32,
    };
    oracle = unit_columns_oracle;
    variants = WALKERS;
    iterations = |args| {
        let column = RowIterations::of(args, args.params::<UnitColumnsParams>().rows);
        4 * column.walk() + 2 * column.fold
    };
}

/// For each of n columns its diagonal, and of the rows below an invocation's share; then likewise the
/// columns of the inverse, the longest one's iterations for each.
fn factor_iterations(args: &CostArgs<'_>) -> u64 {
    let n = u64::from(args.params::<GramFactorParams>().n);
    let lanes = args.constant("WG");
    let columns: u64 = (0..n).map(|k| 3 + k + (n - k - 1).div_ceil(lanes) * (k + 2)).sum();
    let longest =
        |first: u64| (first..n.min(first + lanes)).map(|j| n - j + j * (j + 5) / 2 + 2).max();
    let inverse: u64 = (0..n).step_by(lanes as usize).filter_map(longest).sum();
    columns + inverse + 2
}

/// Options of the factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct LowRankOptions {
    /// The rank, as a part of the smaller extent.
    pub(super) fraction: f64,
    /// What the momentum keeps of its low-rank part.
    pub(super) keep: f64,
    pub(super) seed: u64,
}

/// What u holds of the momentum: a part that is far enough below the largest float for sums over its rows
/// and columns.
pub(super) const HELD: f64 = 1.0 / (1u32 << 20) as f64;

/// The factor of one matrix.
#[derive(Debug)]
pub(super) struct LowRank {
    /// Over [`HELD`].
    lost: f32,
    /// `[columns, rank]`, columns of norm 1
    pub(super) right: Tensor,
    /// The rate 1, for the update kernel.
    one: Numbers,
}

impl LowRank {
    /// A random factor for a matrix `[rows, columns]`, the one numbered `index`.
    pub(super) fn new(options: LowRankOptions, matrix: &Tensor, index: usize) -> Result<Self> {
        let [rows, columns] = sides(matrix);
        let rank = ((rows.min(columns) as f64 * options.fraction).ceil() as usize).max(1);
        let key = threefry([options.seed as u32, (options.seed >> 32) as u32], [index as u32, 1]);
        let draw = |i: usize| {
            let word = threefry(key, [(i / 2) as u32, 0])[i % 2];
            f64::from(word) / 4_294_967_296.0 - 0.5
        };
        let values: Vec<f64> = (0..columns * rank).map(draw).collect();
        let right = Tensor::from_slice(matrix.device(), &values, [columns, rank])?;
        let one = Numbers::unit(matrix.device())?;
        Ok(Self { lost: ((1.0 - options.keep) / HELD) as f32, right, one })
    }

    /// `P Q^T` for the momentum `m`, of which `u` is the part [`HELD`] (0 in a step that is skipped):
    /// `P = qr(m Q)`, `R = m^T P`; then `m -= (1 - keep) P R^T` and `Q` becomes R with columns of
    /// norm 1: in the outcome, of `|R_j| / (|R_j| + 1e-8)`, so that it fades with the momentum.
    pub(super) fn direction(&self, u: &Tensor, m: &Tensor, clip: &Tensor) -> Result<Tensor> {
        let shape = *u.shape();
        if u.count() == 0 {
            return Ok(u.clone());
        }
        let u = u.reshape(sides(u))?;
        // Columns of norm 1: their products stay in range, and span what they did.
        let b = matmul(&u, &self.right, Layout::NN)?;
        let unit = Tensor::zeros(u.device(), *b.shape(), DType::F32)?;
        let _ = unit_columns(&b, &unit)?;
        let left = orthonormal(&orthonormal(&unit)?)?;
        let r = matmul(&u, &left, Layout::TN)?;
        let part = matmul(&left, &r, Layout::NT)?;
        let constants =
            UpdateConstants { scale: 1.0, gain: self.lost, ..UpdateConstants::default() };
        let shared = Shared { numbers: &self.one.values, clip, group: 0 };
        Form::given().record((m, Output::Step(&constants)), (&part, false), &[], shared)?;
        let faded = unit_columns(&r, &self.right)?;
        matmul(&left, &faded, Layout::NT)?.reshape(shape.dims())
    }
}

/// Rows and columns; a vector is one row.
fn sides(matrix: &Tensor) -> [usize; 2] {
    match matrix.shape().dims() {
        [rows, columns] => [*rows, *columns],
        _ => [1, matrix.count()],
    }
}

/// What a norm is added to before a column is divided by it.
const EPS: f64 = 1e-8;

/// Writes the columns of `r` with norm 1 to `unit`; the outcome has norms of `n / (n + 1e-8)`.
fn unit_columns(r: &Tensor, unit: &Tensor) -> Result<Tensor> {
    let [rows, columns] = sides(r);
    let faded = Tensor::empty(r.device(), *r.shape(), DType::F32)?;
    let params =
        UnitColumnsParams { rows: rows as u32, columns: columns as u32, eps: (EPS * HELD) as f32 };
    let launch = over_columns(r.device(), &UNIT_COLUMNS, &params, columns);
    launch.bind("r", r).bind("q", unit).bind("f", &faded).record()?;
    Ok(faded)
}

/// `b r^-1` where `b^T b = r^T r`: orthonormal columns that span those of b, but for the square of
/// b's condition times rounding; a second time makes up for that.
fn orthonormal(b: &Tensor) -> Result<Tensor> {
    let device = b.device();
    let gram = matmul(b, b, Layout::TN)?;
    let n = gram.shape().dims()[0];
    let scratch = Tensor::empty(device, [n, n], DType::F32)?;
    let inverse = Tensor::empty(device, [n, n], DType::F32)?;
    let params = GramFactorParams { n: n as u32 };
    let launch = launch_sharing(device, &GRAM_FACTOR, &params)
        .bind("g", &gram)
        .bind("l", &scratch)
        .bind("w", &inverse);
    launch.workgroups(1).record()?;
    matmul(b, &inverse, Layout::NN)
}

fn gram_factor_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let n = args.params::<GramFactorParams>().n as usize;
    let (g, l, w) = (args.reals("g"), args.reals_mut("l"), args.reals_mut("w"));
    for k in 0..n {
        let done: Vec<R> = l[k * n..k * n + k].to_vec();
        let rest = |g: R, row: &[R]| g - row.iter().zip(&done).map(|(a, b)| *a * *b).sum::<R>();
        let square = rest(g[k * n + k], &done);
        let sound = square > R::lit(1e-6) * g[k * n + k];
        let inverse = match sound {
            _ if !square.is_finite() => R::nan(),
            true => square.sqrt().recip(),
            false => R::zero(),
        };
        for i in k + 1..n {
            l[i * n + k] = rest(g[i * n + k], &l[i * n..i * n + k]) * inverse;
        }
        l[k * n + k] = inverse;
    }
    w.fill(R::zero());
    for j in 0..n {
        w[j * n + j] = l[j * n + j];
        for i in (0..j).rev() {
            let sum: R = (i + 1..=j).map(|k| l[k * n + i] * w[k * n + j]).sum();
            w[i * n + j] = -sum * l[i * n + i];
        }
    }
}

fn unit_columns_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnitColumnsParams = args.params();
    let (r, q, f) = (args.reals("r"), args.reals_mut("q"), args.reals_mut("f"));
    let (columns, eps) = (p.columns as usize, R::lit(p.eps.into()));
    for j in 0..columns {
        let column = || r.iter().skip(j).step_by(columns);
        let scale = to_one(column().fold(R::zero(), |most, v| greatest(most, v.abs())));
        let norm = column().map(|v| (*v * scale) * (*v * scale)).sum::<R>().sqrt();
        let faded = f.iter_mut().skip(j).step_by(columns);
        if norm == R::zero() {
            faded.for_each(|f| *f = R::zero());
            continue;
        }
        let (whole, less) = (norm.recip(), (norm + eps * scale).recip());
        let places = q.iter_mut().skip(j).step_by(columns).zip(faded);
        for ((q, f), r) in places.zip(column()) {
            (*q, *f) = ((*r * scale) * whole, (*r * scale) * less);
        }
    }
}
