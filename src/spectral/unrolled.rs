//! Differentiable forms: the iterations as operators on variables.

use super::batch::Batch;
use super::bound::gram_rows;
use super::clip::{Form, SpectralClip};
use super::hard::{HardClip, PURER};
use super::norm::{MatrixStats, Scale};
use super::plan::Plan;
use super::polar::Polar;
use crate::elementwise::{Activation, Unary};
use crate::{DType, Error, Result, Tensor, Var, layout};

impl Var {
    /// Soft spectral clipping `(I + X X^T / c^2)^(-1/2) X` of a matrix, a vector, or each matrix of
    /// `[.., rows, cols]`; see [`SpectralClip`].
    ///
    /// Gradient: through every iteration (all of them are kept: as many tensors of `m x m` as there are
    /// products). The bound that scales the iteration counts as a constant, which is exact once the
    /// iteration has converged. [`Steps::Bound`](super::Steps::Bound) makes all its steps here. A
    /// variable without a gradient takes the path of [`SpectralClip::run`].
    ///
    /// # Errors
    /// Those of [`SpectralClip::run`]; [`Error::Unsupported`] with
    /// [`compat`](SpectralClip::compat) on a vector, which jumps.
    pub fn spectral_clip(&self, clip: &SpectralClip) -> Result<Var> {
        if !self.has_gradient() || self.value().count() == 0 {
            return Ok(self.tape().constant(&clip.run(self.value())?));
        }
        let schedules = clip.checked(self.value())?.fixed();
        let batch = Batch::new("spectral_clip", &[self.value()])?;
        if clip.is_compat() && batch.shape.rank() == 1 {
            return Err(Error::Unsupported {
                what: "the gradient of clipping as released".into(),
                feature: "a formula without a jump (SpectralClip::compat off)".into(),
            });
        }
        let stats = MatrixStats::new(&batch, clip.scale())?;
        let constants = Constants { of: self, total: batch.total() };
        let x = self.reshape([batch.total(), batch.rows, batch.cols])?;
        let scaled = x.mul(&constants.get(&stats.values, 0)?)?;
        let y = if batch.vectors() {
            // s x / sqrt((s c)^2 + (s ||x||)^2) times c.
            let square = constants.get(&stats.values, 2)?.square()?;
            let norm = scaled.square()?.sum(&[1, 2], true)?;
            scaled.div(&norm.add(&square)?.sqrt()?)?.mul(&constants.get(&stats.values, 3)?)?
        } else {
            let s = gram(&scaled, batch.tall())?;
            let extent = batch.rows.min(batch.cols);
            let squares = match clip.chosen_form() {
                Form::Classic => None,
                Form::Minimax => Some(s.matmul(&s)?),
            };
            let bounded = squares.as_ref().unwrap_or(&s);
            let rows = gram_rows(bounded.value(), batch.total(), extent)?;
            let plan = Plan::new(&rows, &stats, &schedules, DType::F32)?;
            let shift = constants.get(&plan.start, 0)?;
            let factor = constants.get(&plan.start, 1)?;
            let eye = constants.identity(extent)?;
            let m = s.mul(&factor)?.add(&eye.mul(&shift)?)?;
            let z = match squares {
                None => classic(m, &eye, schedules.most())?,
                Some(squares) => {
                    // The polynomial of S: the first Q.
                    let of = |i: usize| constants.get(&plan.start, 4 + i);
                    let q = squares.mul(&of(2)?)?.add(&s.mul(&of(1)?)?)?;
                    let q = q.add(&eye.mul(&of(0)?)?)?;
                    minimax([m, q], &eye, &constants, &plan, schedules.most())?
                }
            };
            // r, and what the last product of `run` is scaled by.
            let outer = constants.get(&plan.start, 2)?.mul(&shift.sqrt()?)?;
            apply(&z, &scaled, batch.tall())?.mul(&outer)?
        };
        y.reshape(batch.shape)
    }

    /// The polar factor of a matrix, a vector, or each matrix of `[.., rows, cols]`; see [`Polar`].
    ///
    /// Gradient: through the norm and every iteration. A variable without a gradient takes the path of
    /// [`Polar::run`].
    ///
    /// # Errors
    /// Those of [`Polar::run`].
    pub fn polar(&self, polar: &Polar) -> Result<Var> {
        if !self.has_gradient() || self.value().count() == 0 {
            return Ok(self.tape().constant(&polar.run(self.value())?));
        }
        polar.check("polar")?;
        let batch = Batch::new("polar", &[self.value()])?;
        // The power of two that brings the largest element to order one.
        let stats = MatrixStats::new(&batch, Scale::ALONE)?;
        let constants = Constants { of: self, total: batch.total() };
        let x = self.reshape([batch.total(), batch.rows, batch.cols])?;
        let scale = constants.get(&stats.values, 0)?;
        let x = x.mul(&scale)?;
        let norm = x.norm(&[1, 2], true)?;
        let [margin, eps] = polar.norm_and();
        // Of a zero matrix nothing is left to scale.
        let mut x = x.div(&norm.mul_scalar(margin)?.add(&scale.affine(eps, LEAST)?)?)?;
        for [a, b, c] in polar.coefficients() {
            let s = gram(&x, batch.tall())?;
            let q = s.matmul(&s)?.mul_scalar(*c as f32)?.add(&s.mul_scalar(*b as f32)?)?;
            x = x.mul_scalar(*a as f32)?.add(&apply(&q, &x, batch.tall())?)?;
        }
        x.reshape(batch.shape)
    }
}

impl Var {
    /// Hard spectral clipping of a matrix, a vector, or each matrix of `[.., rows, cols]`; see
    /// [`HardClip`].
    ///
    /// Gradient: through both signs, their norms and every iteration. Where a singular value equals
    /// the radius it is whatever the second sign has reached by its last step. A variable without a
    /// gradient takes the path of [`HardClip::run`].
    ///
    /// # Errors
    /// Those of [`HardClip::run`].
    pub fn hard_clip(&self, clip: &HardClip) -> Result<Var> {
        if !self.has_gradient() || self.value().count() == 0 {
            return Ok(self.tape().constant(&clip.run(self.value())?));
        }
        let batch = Batch::new("hard_clip", &[self.value()])?;
        let (radius, sign) = clip.checked()?;
        let (total, tall) = (batch.total(), batch.tall());
        let stats = MatrixStats::new(&batch, Scale::Own(radius, None))?.values;
        let constants = Constants { of: self, total };
        let [scale, bound, radius] = [0, 2, 3].map(|i| constants.get(&stats, i));
        let (scale, bound) = (scale?, bound?);
        let whole = self.reshape([total, batch.rows, batch.cols])?;
        let x = whole.mul(&scale)?;
        let o = x.polar(sign)?;
        // On the short side: o x^T, or x^T o of tall matrices.
        let h = if tall { x.matmul_tn(&o)? } else { o.matmul_nt(&x)? };
        let eye = constants.identity(batch.rows.min(batch.cols))?;
        let gap = eye.mul(&bound)?.add(&h.add(&h.permute(&[0, 2, 1])?)?.mul_scalar(-0.5)?)?;
        let mut below = gap.polar(sign)?.add(&eye)?.mul_scalar(0.5)?;
        for _ in 0..PURER {
            let square = below.matmul(&below)?;
            below = square.mul_scalar(3.0)?.add(&square.matmul(&below)?.mul_scalar(-2.0)?)?;
        }
        let turned = apply(&below, &x.add(&o.mul(&bound)?.mul_scalar(-1.0)?)?, tall)?;
        let clipped = o.mul(&radius?)?.add(&turned.div(&scale)?)?;
        // The identity where nothing is above the radius.
        let above = eye.detach().add(&below.detach().mul_scalar(-1.0)?)?;
        let within = constants.within(above.value())?;
        let outside = within.affine(-1.0, 1.0)?;
        whole.mul(&within)?.add(&clipped.mul(&outside)?)?.reshape(batch.shape)
    }
}

/// Added to the norm of a matrix of order one: keeps a zero matrix from 0 / 0.
const LEAST: f32 = 1e-30;

/// Numbers of each matrix as variables `[total, 1, 1]` that get no gradient.
struct Constants<'a> {
    of: &'a Var,
    total: usize,
}

impl Constants<'_> {
    /// Element `i` of each row of a table of `total` rows.
    fn get(&self, table: &Tensor, i: usize) -> Result<Var> {
        let width = table.count() / self.total.max(1);
        let rows = table.reshape([self.total, width])?;
        let column = layout::slice(&rows, &[0..self.total, i..i + 1])?;
        Ok(self.of.tape().constant(&column.reshape([self.total, 1, 1])?))
    }

    /// 1 for each of several matrices whose Frobenius norm is below a half, else 0.
    fn within(&self, matrices: &Tensor) -> Result<Var> {
        let norms = crate::reduce::norm(matrices, &[1, 2], true)?;
        let below = self.of.tape().constant(&norms).affine(-1.0, 0.5)?;
        below.unary(Unary::Sign)?.activate(Activation::Relu)
    }

    fn identity(&self, extent: usize) -> Result<Var> {
        let mut eye = vec![0.0f32; extent * extent];
        eye.iter_mut().step_by(extent + 1).for_each(|v| *v = 1.0);
        let eye = Tensor::from_slice(self.of.device(), &eye, [1, extent, extent])?;
        Ok(self.of.tape().constant(&eye))
    }
}

/// The product of the short side: `X X^T`, or `X^T X` of tall matrices.
fn gram(x: &Var, tall: bool) -> Result<Var> {
    if tall { x.matmul_tn(x) } else { x.matmul_nt(x) }
}

/// `Z X`, or `X Z` of tall matrices.
fn apply(z: &Var, x: &Var, tall: bool) -> Result<Var> {
    if tall { x.matmul(z) } else { z.matmul(x) }
}

/// `1.5 a - 0.5 b`
fn step(a: &Var, b: &Var) -> Result<Var> {
    a.mul_scalar(1.5)?.add(&b.mul_scalar(-0.5)?)
}

/// `Z` after the classic iteration from `M`.
fn classic(mut m: Var, eye: &Var, steps: usize) -> Result<Var> {
    let mut z = step(eye, &m)?;
    for _ in 1..steps {
        let u = step(&m, &m.matmul(&m)?)?;
        m = step(&u, &u.matmul(&m)?)?;
        z = step(&z, &z.matmul(&m)?)?;
    }
    Ok(z)
}

/// `Z` after the minimax iteration from `M` and the first `Q`.
fn minimax(
    [mut m, mut q]: [Var; 2],
    eye: &Var,
    constants: &Constants<'_>,
    plan: &Plan,
    steps: usize,
) -> Result<Var> {
    let mut z: Option<Var> = None;
    for i in 0..steps {
        // The coefficients of the first of an iteration's three products.
        let at = |k: usize| constants.get(&plan.plan, 8 * 3 * i + k);
        if i > 0 {
            let (a, b, c) = (at(0)?, at(1)?, at(2)?);
            q = m.matmul(&m)?.mul(&c)?.add(&m.mul(&b)?)?.add(&eye.mul(&a)?)?;
        }
        z = Some(match z {
            None => q.clone(),
            Some(z) => z.matmul(&q)?,
        });
        if i + 1 < steps {
            m = m.matmul(&q)?.matmul(&q)?;
        }
    }
    z.ok_or_else(|| Error::argument("spectral_clip", "no steps"))
}
