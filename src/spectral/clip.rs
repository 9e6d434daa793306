//! Soft spectral clipping.

use super::apply::Factors;
use super::batch::Batch;
use super::bound::gram_rows;
use super::norm::{MatrixStats, Scale};
use super::plan::Plan;
use super::product::{Coefficients, Output, PRODUCT, SymmetricProduct, commuting};
use super::schedule::{RESIDUAL, Schedules, steps_for};
use super::{vector, wide};
use crate::elementwise::{self, Binary, FusedUpdate, Unary};
use crate::narrow::positive;
use crate::{DType, Error, Result, Tensor};
use std::sync::Arc;

const OP: &str = "spectral_clip";

/// The polynomial of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Form {
    /// Newton-Schulz's cubic step, `(3 I - M) / 2`, the same at every iteration: as released.
    #[default]
    Classic,
    /// Quintic steps that are nearest to the inverse root on the interval in which the eigenvalues
    /// lie at that iteration; the schedule is chosen on the device from the bound of each matrix.
    Minimax,
}

/// How many iterations are made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Steps {
    /// So many, whatever the matrix.
    Fixed(usize),
    /// As many as the bound of each matrix asks for, at most so many. All of them are launched; for a
    /// matrix that needs fewer the first ones return at once.
    Bound(usize),
    /// As [`Steps::Bound`], where the most is what singular values up to so many times the radius can
    /// need: the bound is above the largest by the fourth root of the short side at the most (classic),
    /// or by the eighth (minimax).
    Ratio(f64),
}

/// Soft spectral clipping, `H_c(X) = (I + X X^T / c^2)^(-1/2) X`: every singular value `s` becomes
/// `s / sqrt(1 + (s / c)^2) < c`.
///
/// Small singular values stay as they are (`f(s) = s - s^3 / (2 c^2) + ..`), large ones approach `c`.
/// With too few iterations the largest are right all the same, and small ones are shrunk; so are those
/// below a thousandth of the largest where `c` is smaller still: f32 cannot tell them from rounding.
///
/// A vector (one axis, one row or one column) is scaled by `1 / sqrt(1 + (||x|| / c)^2)`; a matrix
/// with an element that is not finite becomes NaN, and beside its flag zeros.
///
/// ```
/// use spikegrad::spectral::SpectralClip;
/// use spikegrad::{Device, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let x = Tensor::from_slice(&device, &[3.0f32, 0.0, 0.0, 0.0, 0.01, 0.0], [2, 3])?;
/// let y = SpectralClip::new(1.0).run(&x)?.to_vec::<f32>()?;
/// assert!((y[0] - 3.0 / 10f32.sqrt()).abs() < 1e-5 && (y[4] - 0.01).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
///
/// Source: SPECTRA (spectral clipping around optimizers), the released coupled Newton-Schulz
/// iteration; the [module](super) says what is computed instead of it.
#[derive(Debug, Clone)]
#[must_use]
pub struct SpectralClip {
    radius: f64,
    factor: Option<Tensor>,
    form: Form,
    steps: Option<Steps>,
    accuracy: f64,
    compat: bool,
    storage: DType,
}

impl SpectralClip {
    /// Clipping to the radius `c`: ten classic iterations.
    pub fn new(c: f64) -> Self {
        Self {
            radius: c,
            factor: None,
            form: Form::Classic,
            steps: None,
            accuracy: RESIDUAL,
            compat: false,
            storage: DType::F32,
        }
    }

    /// The polynomial, classic by default.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// How many iterations: ten by default (classic), five (minimax).
    pub fn steps(mut self, steps: Steps) -> Self {
        self.steps = Some(steps);
        self
    }

    /// The relative error of singular values down to which [`Steps::Bound`] and [`Steps::Ratio`] go on,
    /// whatever the values are: 2e-7 by default, what f32 holds; from 1e-7 to 0.5. The norm of the outcome
    /// may be above the radius by so much (minimax).
    pub fn accuracy(mut self, error: f64) -> Self {
        self.accuracy = error;
        self
    }

    /// Multiplies the radius by the first element of a tensor, read on the device at every run: for
    /// radii that change from step to step of a captured program. Its product with the radius must be
    /// positive and finite.
    pub fn factor(mut self, factor: &Tensor) -> Self {
        self.factor = Some(factor.clone());
        self
    }

    /// Whether tensors with one axis are clipped as the released code does: left as they are up to
    /// the norm `c`, where it jumps to `c / sqrt(2)`. Off by default.
    pub fn compat(mut self, on: bool) -> Self {
        self.compat = on;
        self
    }

    /// What matrices are stored as between products: [`DType::F32`], the default, or
    /// [`DType::F16`], which takes half the memory and bandwidth. Sums are f32 all the same, as are
    /// bound and outcome. With f16 the outcome stays within the radius and is off by one to seven
    /// thousandths; where the radius is less than a thirtieth of the largest singular value, small
    /// ones are shrunk (a thousandth in f32). For the classic form only: the steeper polynomials of the
    /// other amplify the rounding. Vectors, and variables with a gradient, are computed in f32 either
    /// way. The host computes in f32 anyway, and is slowed down by the conversions.
    pub fn storage(mut self, dtype: DType) -> Self {
        self.storage = dtype;
        self
    }

    /// `H_c(X)` for a matrix, a vector, or a batch of matrices `[.., rows, cols]`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a radius that is not positive and finite, no steps, or too many, an
    /// accuracy out of its range, or a storage other than f32 and f16 (for the minimax form, f32);
    /// [`Error::DType`] unless it is f32; [`Error::Limit`] for a batch beyond the device's buffers.
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        lost_as_nan(self.run_flagged(x)?)
    }

    /// Likewise, with a flag for each matrix: `[entries]`, 1 where an element is not finite, which makes the
    /// outcome zeros, else 0.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_flagged(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (mut y, flags) = self.run_all(&[x])?;
        // One tensor in, one out.
        let y = y.pop().map_or_else(|| Tensor::zeros(x.device(), *x.shape(), DType::F32), Ok)?;
        Ok((y, flags))
    }

    /// `H_c` of several tensors of one shape in the launches of one, and the flags of all their
    /// matrices.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Argument`] for no tensors; [`Error::Shape`] for shapes
    /// that differ; [`Error::DeviceMismatch`].
    pub fn run_all(&self, tensors: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let batch = Batch::new(OP, tensors)?;
        let schedules = self.checked(tensors[0])?;
        if batch.total() * batch.count() == 0 {
            let flags = Tensor::zeros(batch.device(), [batch.total()], DType::F32)?;
            return Ok((batch.empty_outputs()?, flags));
        }
        let stats = MatrixStats::new(&batch, self.scale())?;
        let outputs = if batch.vectors() {
            vector::clip(&batch, &stats, self.compat && batch.shape.rank() == 1)?
        } else {
            self.factors(&batch, &stats, &schedules)?.tensors(&batch)?
        };
        Ok((outputs, stats.flags))
    }

    /// A step of each parameter along `H_c` of its matrix in `[count, rows, cols]`, neither extent 1:
    /// the last product and the step are one launch, so that parameters are written once.
    pub(crate) fn step_all(&self, directions: &Tensor, steps: &[FusedUpdate<'_>]) -> Result<()> {
        let batch = Batch::new(OP, &[directions])?;
        let schedules = self.checked(directions)?;
        let stats = MatrixStats::new(&batch, self.scale())?;
        self.factors(&batch, &stats, &schedules)?.steps(&batch, steps)
    }

    pub(super) fn scale(&self) -> Scale<'_> {
        Scale::Own(self.radius as f32, self.factor.as_ref())
    }

    fn factors(
        &self,
        batch: &Batch<'_>,
        stats: &MatrixStats,
        schedules: &Schedules,
    ) -> Result<Factors> {
        let x = wide::to_wide(batch, stats, self.storage)?;
        let (total, m) = (batch.total(), batch.m());
        let s = gram(&x, DType::F32)?;
        let squares = match self.form {
            Form::Classic => None,
            Form::Minimax => Some(commuting([&s, &s], PRODUCT)?),
        };
        let rows = gram_rows(squares.as_ref().unwrap_or(&s), total, m)?;
        let plan = Plan::new(&rows, stats, schedules, self.storage)?;
        let adapt = !matches!(self.steps, None | Some(Steps::Fixed(_)));
        let dtype = self.storage;
        let iteration = Iteration { plan: &plan, total, m, most: schedules.most(), adapt, dtype };
        let z = match &squares {
            None => iteration.classic(&s)?,
            Some(squares) => iteration.minimax(&s, squares)?,
        };
        Ok(Factors { z, x, start: Some(plan.start) })
    }

    pub(super) fn chosen_form(&self) -> Form {
        self.form
    }

    pub(super) fn is_compat(&self) -> bool {
        self.compat
    }

    /// Checks radius, its factor and steps; the polynomials.
    pub(super) fn checked(&self, x: &Tensor) -> Result<Arc<Schedules>> {
        checked_radius(OP, self.radius)?;
        checked_storage(OP, self.storage)?;
        if self.storage == DType::F16 && self.form == Form::Minimax {
            return Err(Error::argument(OP, "the minimax form needs F32 as storage"));
        }
        if let Some(factor) = &self.factor {
            x.same_device(OP, factor)?;
            factor.expect(OP, DType::F32)?;
            if factor.count() == 0 {
                return Err(Error::shape(OP, "a factor without elements"));
            }
        }
        if !ACCURACIES.contains(&self.accuracy) {
            let [least, most] = [ACCURACIES.start(), ACCURACIES.end()];
            let detail = format!("accuracy {}, allowed are {least} to {most}", self.accuracy);
            return Err(Error::argument(OP, detail));
        }
        let quintic = self.form == Form::Minimax;
        let adapted = Some(self.accuracy);
        let (most, residual) = match self.steps {
            None => (if quintic { 5 } else { 10 }, None),
            Some(Steps::Fixed(steps)) => (steps, None),
            Some(Steps::Bound(most)) => (most, adapted),
            Some(Steps::Ratio(ratio)) if (0.0..=MOST_RATIO).contains(&ratio) => {
                let alpha = largest_bound(x, ratio, quintic);
                (steps_for(quintic, alpha, self.accuracy), adapted)
            }
            Some(Steps::Ratio(ratio)) => {
                let detail = format!("ratio {ratio}, allowed are 0 to {MOST_RATIO}");
                return Err(Error::argument(OP, detail));
            }
        };
        if !(1..=MOST_STEPS).contains(&most) {
            let detail = format!("{most} steps, allowed are 1 to {MOST_STEPS}");
            return Err(Error::argument(OP, detail));
        }
        Ok(Schedules::cached(quintic, most, residual))
    }
}

/// The largest bound `alpha` of matrices with singular values up to `ratio` times the radius: the
/// Frobenius norm of a symmetric matrix is at most the root of its extent times its largest
/// eigenvalue. Quintic iterations take the root of that of the square.
fn largest_bound(x: &Tensor, ratio: f64, quintic: bool) -> f64 {
    let extent = match x.shape().dims() {
        [.., rows, cols] => *rows.min(cols),
        _ => 1,
    };
    let slack = (extent as f64).sqrt();
    1.0 + ratio * ratio * if quintic { slack.sqrt() } else { slack }
}

/// Errors that can be asked for.
const ACCURACIES: std::ops::RangeInclusive<f64> = 1e-7..=0.5;

/// Singular values that f32 cannot tell from one another beside the largest.
const MOST_RATIO: f64 = 1e4;

/// More iterations than any f32 matrix can use.
const MOST_STEPS: usize = 64;

/// The only one of several outputs.
pub(super) fn one(mut outputs: Vec<Tensor>, like: &Tensor) -> Result<Tensor> {
    match outputs.pop() {
        Some(y) => Ok(y),
        None => Tensor::zeros(like.device(), *like.shape(), DType::F32),
    }
}

/// An outcome, NaN in the place of the zeros of matrices that are not finite.
pub(super) fn lost_as_nan((y, flags): (Tensor, Tensor)) -> Result<Tensor> {
    if y.count() == 0 {
        return Ok(y);
    }
    let total = flags.count();
    let sound = elementwise::unary(Unary::Affine { scale: -1.0, shift: 1.0 }, &flags)?;
    let rows = y.reshape([total, y.count() / total])?;
    let marked = elementwise::binary(Binary::Div, &rows, &sound.reshape([total, 1])?)?;
    marked.reshape(*y.shape())
}

/// The radius in f32.
pub(super) fn checked_radius(op: &'static str, radius: f64) -> Result<f32> {
    positive(op, "radius", radius)
}

/// The type that work matrices are stored as.
pub(super) fn checked_storage(op: &'static str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::F16 => Ok(()),
        other => Err(Error::argument(op, format!("storage {other:?}, allowed are F32 and F16"))),
    }
}

/// `X X^T` as `dtype` for wide matrices `[total, m, n]`.
pub(super) fn gram(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let &[total, m, n] = x.shape().dims() else {
        return Err(Error::shape(OP, format!("matrices {}", x.shape())));
    };
    let s = Tensor::empty(x.device(), [total, m, m], dtype)?;
    let coefficients = Coefficients::Fixed(PRODUCT);
    let product = SymmetricProduct { a: x, b: x, rows: true, batch: total, m, k: n, coefficients };
    product.record(Output::First(&s))?;
    Ok(s)
}

/// The iteration of a batch, planned.
struct Iteration<'a> {
    plan: &'a Plan,
    total: usize,
    m: usize,
    most: usize,
    /// Matrices may begin at any iteration.
    adapt: bool,
    dtype: DType,
}

impl Iteration<'_> {
    /// Records launch `step`: `C = u I + v A + x B + w A B`.
    fn product(&self, step: usize, [a, b]: [&Tensor; 2], output: Output<'_>) -> Result<()> {
        let Plan { plan, launches, .. } = self.plan;
        SymmetricProduct {
            a,
            b,
            rows: false,
            batch: self.total,
            m: self.m,
            k: self.m,
            coefficients: Coefficients::Plan { plan, step, steps: *launches },
        }
        .record(output)
    }

    fn empty<const N: usize>(&self, device: &crate::Device, parts: usize) -> Result<[Tensor; N]> {
        let make = || Tensor::empty(device, [parts * self.total, self.m, self.m], self.dtype);
        let made = (0..N).map(|_| make()).collect::<Result<Vec<_>>>()?;
        made.try_into().map_err(|_| Error::argument(OP, "internal: buffers"))
    }

    /// `U = 1.5 M - .5 M M`, then `(M, Z) <- 1.5 (U, Z) - .5 (U, Z) M`. U and Z stand together.
    fn classic(&self, s: &Tensor) -> Result<Tensor> {
        let device = s.device();
        let m: [Tensor; 2] = self.empty(device, 1)?;
        let uz: [Tensor; 2] = self.empty(device, 2)?;
        let [out] = self.empty(device, 1)?;
        self.plan.write_start(s, [&m[0], &m[1]], self.adapt, None)?;
        for i in 0..self.most {
            let (now, then) = (i % 2, (i + 1) % 2);
            let pair = [&uz[now], &m[now]];
            if i + 1 == self.most {
                self.product(2 * i + 1, pair, Output::Second(&out, 0))?;
            } else {
                self.product(2 * i, [&m[now]; 2], Output::First(&uz[now]))?;
                let output = Output::Both(&m[then], &uz[then], self.total);
                self.product(2 * i + 1, pair, output)?;
            }
        }
        Ok(out)
    }

    /// `Q = a I + b M + c M M`, the first from `S S`, then `(N, Z) <- (M, Z) Q`, then `M <- N Q`. M
    /// and Z stand together.
    fn minimax(&self, s: &Tensor, squares: &Tensor) -> Result<Tensor> {
        let device = s.device();
        let mz: [Tensor; 2] = self.empty(device, 2)?;
        let [q, n, out] = self.empty(device, 1)?;
        self.plan.write_start(s, [&mz[0], &mz[1]], self.adapt, Some([squares, &q]))?;
        for i in 0..self.most {
            let (now, then) = (&mz[i % 2], &mz[(i + 1) % 2]);
            if i > 0 {
                self.product(3 * i, [now, now], Output::First(&q))?;
            }
            if i + 1 == self.most {
                self.product(3 * i + 1, [now, &q], Output::Second(&out, 0))?;
            } else {
                let output = Output::Both(&n, then, self.total);
                self.product(3 * i + 1, [now, &q], output)?;
                self.product(3 * i + 2, [&n, &q], Output::First(then))?;
            }
        }
        Ok(out)
    }
}
