//! The polar factor.

use super::apply::Factors;
use super::batch::Batch;
use super::clip::{checked_storage, gram, lost_as_nan, one};
use super::norm::{MatrixStats, Scale};
use super::product::{PRODUCT, commuting};
use super::schedule::{Quintic, express};
use super::wide;
use crate::elementwise::FusedUpdate;
use crate::linalg::Matmul;
use crate::narrow::{finite, not_negative};
use crate::{DType, Error, Result, Tensor};

const OP: &str = "polar";

/// The polar factor `U V^T` of `X = U diag(s) V^T`, by iterating an odd polynomial of its singular
/// values:
///
/// ```text
/// X_0 = X / (margin ||X||_F + eps),   A = X X^T,   X <- (a I + b A + c A^2) X
/// ```
///
/// Three launches an iteration. Where one side is at least twice the other, and the storage f32, up to
/// three polynomials are multiplied before X is: `S = X X^T` becomes `Q S Q` with X, which is read and
/// written a third as often.
///
/// Singular values far below the largest need more iterations than large ones; those that are zero
/// stay zero up to rounding, which the iteration amplifies by the product of its slopes at zero (485 for
/// Muon's five, 6.5e3 for eight of the Polar Express).
///
/// The largest element is brought to order one before the norm is taken, so that matrices of any
/// scale have one, from the smallest subnormal number (0 on adapters that take those for 0) to the
/// largest; [`eps`](Self::eps), 0 but in an optimizer, lets small ones fade; a matrix with an element
/// that is not finite becomes NaN, and beside its flag zeros.
///
/// ```
/// use spikegrad::spectral::Polar;
/// use spikegrad::{Device, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let x = Tensor::from_slice(&device, &[3.0f32, 0.0, 0.0, 0.0, 0.0, -0.1], [2, 3])?;
/// let y = Polar::express(8).run(&x)?.to_vec::<f32>()?;
/// assert!((y[0] - 1.0).abs() < 1e-4 && (y[5] + 1.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
///
/// Sources: Jordan et al., "Muon" (2024); Amsel et al., "The Polar Express" (2025); Björck and Bowie
/// (1971).
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Polar {
    coefficients: Vec<Quintic>,
    margin: f64,
    eps: Option<f64>,
    storage: DType,
}

/// The most iterations: all have converged, or never will, long before.
const MOST: usize = 1000;

impl Polar {
    /// Muon's quintic (3.4445, -4.7750, 2.0315), `steps` times, as a rule 5. It is steep at zero and does not
    /// converge: singular values from .02 of the norm on end between .68 and 1.20.
    pub fn muon(steps: usize) -> Self {
        Self::custom(&vec![[3.4445, -4.775, 2.0315]; steps.min(MOST + 1)])
    }

    /// Newton-Schulz's cubic (1.5, -.5, 0), `steps` times. It converges to 1; 13 steps bring .01 of
    /// the norm to .9.
    pub fn classic(steps: usize) -> Self {
        Self::custom(&vec![[1.5, -0.5, 0.0]; steps.min(MOST + 1)])
    }

    /// The Polar Express: minimax quintics for singular values from .001 of the norm on, with the
    /// published cushion (.02) and safety factor (1.01). It converges; 8 steps are accurate to f32.
    pub fn express(steps: usize) -> Self {
        Self { margin: 1.01, ..Self::custom(&express(1e-3, steps.min(MOST + 1), 0.02, 1.01)) }
    }

    /// Polynomials `a x + b x^3 + c x^5` of your own.
    pub fn custom(coefficients: &[[f64; 3]]) -> Self {
        Self { coefficients: coefficients.to_vec(), margin: 1.0, eps: None, storage: DType::F32 }
    }

    /// What is added to the norm that a matrix is divided by, as it is, before it is scaled: matrices whose
    /// norm is not much larger are no longer turned to full length, and those far below it become zero.
    /// 0 by default, and 1e-7 in [`Muon`](crate::optim::Muon), as published: with gradients of zero its
    /// momentum fades, and so must its steps.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = Some(eps);
        self
    }

    /// With this eps unless one was chosen.
    pub(crate) fn eps_by_default(mut self, eps: f64) -> Self {
        self.eps = self.eps.or(Some(eps));
        self
    }

    /// What matrices are stored as between products: [`DType::F32`], the default, or
    /// [`DType::F16`], which takes half the memory and bandwidth. Sums and outcome are f32 all the
    /// same. The rounding of f16 is amplified by the slope at zero: Muon's five steps stay within a
    /// few thousandths, and directions whose singular values are below 1e-4 of the norm are noise.
    /// Variables with a gradient are computed in f32 either way.
    pub fn storage(mut self, dtype: DType) -> Self {
        self.storage = dtype;
        self
    }

    /// The coefficients `(a, b, c)` of each iteration.
    pub fn coefficients(&self) -> &[[f64; 3]] {
        &self.coefficients
    }

    /// The polar factor of a matrix, a vector, or each matrix of a batch `[.., rows, cols]`.
    ///
    /// # Errors
    /// [`Error::Argument`] for no iterations, or numbers that are not finite in f32; [`Error::DType`]
    /// unless it is f32; [`Error::Limit`] for a batch beyond the device's buffers.
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        lost_as_nan(self.run_flagged(x)?)
    }

    /// Likewise, with a flag for each matrix: `[entries]`, 1 where an element is not finite, which makes the
    /// outcome zeros, else 0.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_flagged(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, flags) = self.run_all(&[x])?;
        Ok((one(y, x)?, flags))
    }

    /// The polar factors of several tensors of one shape in the launches of one, and the flags of all
    /// their matrices.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Argument`] for no tensors; [`Error::Shape`] for shapes
    /// that differ; [`Error::DeviceMismatch`].
    pub fn run_all(&self, tensors: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let batch = Batch::new(OP, tensors)?;
        self.check(OP)?;
        if batch.total() * batch.count() == 0 {
            let flags = Tensor::zeros(batch.device(), [batch.total()], DType::F32)?;
            return Ok((batch.empty_outputs()?, flags));
        }
        let stats = MatrixStats::new(&batch, self.scale())?;
        let x = wide::to_wide(&batch, &stats, self.storage)?;
        let (z, x) = self.iterate(x)?;
        let y = Factors { z, x, start: None }.tensors(&batch)?;
        Ok((y, stats.flags))
    }

    /// A step of each parameter along the polar factor of its matrix in `[count, rows, cols]`: the last
    /// product and the step are one launch, so that parameters are written once.
    pub(crate) fn step_all(&self, directions: &Tensor, steps: &[FusedUpdate<'_>]) -> Result<()> {
        let batch = Batch::new(OP, &[directions])?;
        self.check(OP)?;
        let stats = MatrixStats::new(&batch, self.scale())?;
        let x = wide::to_wide(&batch, &stats, self.storage)?;
        let (z, x) = self.iterate(x)?;
        Factors { z, x, start: None }.steps(&batch, steps)
    }

    pub(super) fn scale(&self) -> Scale<'static> {
        Scale::Unit { margin: self.margin as f32, eps: self.eps.unwrap_or(0.0) as f32 }
    }

    /// Margin and eps.
    pub(super) fn norm_and(&self) -> [f32; 2] {
        [self.margin as f32, self.eps.unwrap_or(0.0) as f32]
    }

    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        checked_storage(op, self.storage)?;
        if self.coefficients.len() > MOST {
            return Err(Error::argument(OP, format!("more than {MOST} iterations")));
        }
        if self.coefficients.is_empty() {
            return Err(Error::argument(op, "no iterations"));
        }
        not_negative(op, "eps", self.eps.unwrap_or(0.0))?;
        let mut all = self.coefficients.iter().flatten();
        all.try_for_each(|value| finite(op, "coefficient", *value).map(drop))
    }

    pub(super) fn stored_as(&self) -> DType {
        self.storage
    }

    /// The iteration on wide matrices `[total, m, n]`, but for its last product: the outcome is `Z X`.
    pub(super) fn iterate(&self, mut x: Tensor) -> Result<(Tensor, Tensor)> {
        let mut z = None;
        for pass in self.coefficients.chunks(self.steps_of_pass(&x)) {
            if let Some(z) = &z {
                x = Matmul::new().output(self.storage).run(z, &x)?;
            }
            z = combined(gram(&x, self.storage)?, pass)?;
        }
        z.map(|z| (z, x)).ok_or_else(|| Error::argument(OP, "no iterations"))
    }

    /// The iterations that are combined before X is touched again: it pays where X is much larger than
    /// its Gram matrix, and f16 would lose too much.
    fn steps_of_pass(&self, x: &Tensor) -> usize {
        let wide = matches!(*x.shape().dims(), [.., m, n] if n >= WIDE * m);
        if wide && self.storage == DType::F32 { PASS } else { 1 }
    }
}

/// Columns over rows from which several iterations are combined.
const WIDE: usize = 2;
/// The most iterations that are: rounding in the Gram matrix grows with the square of the slopes.
const PASS: usize = 3;

/// The product `Z` of the polynomials of several iterations of matrices whose Gram matrix is `s`, without
/// X: `Q = a I + b S + c S S`, `Z <- Z Q`, `S <- (S Q) Q`. All of them are polynomials of `s`, and
/// symmetric.
fn combined(mut s: Tensor, coefficients: &[Quintic]) -> Result<Option<Tensor>> {
    let polynomial =
        |s: &Tensor, [a, b, c]: &Quintic| commuting([s, s], [*a as f32, *b as f32, *c as f32, 0.0]);
    let times = |a: &Tensor, b: &Tensor| commuting([a, b], PRODUCT);
    let mut made: Option<[Tensor; 2]> = None;
    for next in coefficients {
        made = Some(match made {
            None => {
                let q = polynomial(&s, next)?;
                [q.clone(), q]
            }
            Some([z, q]) => {
                s = times(&times(&s, &q)?, &q)?;
                let q = polynomial(&s, next)?;
                [times(&z, &q)?, q]
            }
        });
    }
    Ok(made.map(|[z, _]| z))
}
