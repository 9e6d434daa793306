//! Hard spectral clipping.

use super::batch::Batch;
use super::blend::blend;
use super::clip::{lost_as_nan, one};
use super::norm::{MatrixStats, Scale};
use super::polar::Polar;
use super::product::{Coefficients, Output, SymmetricProduct, commuting};
use super::wide;
use crate::elementwise::{Binary, binary};
use crate::host::{HostArgs, Real};

use crate::linalg::{Layout, Matmul, matmul};
use crate::{DType, Result, Tensor, layout};

const OP: &str = "hard_clip";

crate::kernel! {
    /// `y = c O + T / s`, or x
    pub(super) static HARD_JOIN = "spectral/hard_join";
    params = wide::WideParams;
    oracle = hard_join_oracle;
}

/// Hard spectral clipping: every singular value `s` becomes `min(s, c)`.
///
/// From two matrix signs, with `X` on its long side:
///
/// ```text
/// O = polar(X),   H = O X^T,   Q = (I + sign(c I - H)) / 2,   three times Q <- Q Q (3 I - 2 Q)
/// min(s, c) = c O + Q (X - c O)
/// ```
///
/// Q projects on what lies below `c`; the last step squares its error each time, so that nothing of
/// singular values far above `c` is left. An error of the sign near `s = c` is multiplied by `|c - s|`,
/// so that few iterations are enough. Where Q is the identity (`|I - Q|_F` is below a half), no singular value is
/// above `c`, and the outcome is `X` to the bit.
///
/// X may have any scale. Where some singular values are far below the largest, and that above `c`, the
/// first sign amplifies rounding: [`SpectralClip`](super::SpectralClip) is more accurate.
///
/// A matrix with an element that is not finite becomes NaN, and beside its flag zeros.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct HardClip {
    radius: f64,
    sign: Polar,
}

impl HardClip {
    /// Clipping to the radius `c`; both signs by ten steps of the Polar Express.
    pub fn new(c: f64) -> Self {
        Self { radius: c, sign: Polar::express(10) }
    }

    /// The iteration of both matrix signs.
    pub fn sign(mut self, sign: Polar) -> Self {
        self.sign = sign;
        self
    }

    /// `X` with its singular values limited to `c`: a matrix, a vector, or a batch `[.., rows, cols]`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a radius that is not positive and finite, or a
    /// sign without iterations; [`Error::DType`](crate::Error::DType) unless it is f32;
    /// [`Error::Limit`](crate::Error::Limit) for a batch beyond the device's buffers.
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

    /// Several tensors of one shape in the launches of one, and the flags of all their matrices.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Argument`](crate::Error::Argument) for no tensors;
    /// [`Error::Shape`](crate::Error::Shape) for shapes that differ;
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
    pub fn run_all(&self, tensors: &[&Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let batch = Batch::new(OP, tensors)?;
        let (radius, _) = self.checked()?;
        if batch.total() * batch.count() == 0 {
            let flags = Tensor::zeros(batch.device(), [batch.total()], DType::F32)?;
            return Ok((batch.empty_outputs()?, flags));
        }
        let stats = MatrixStats::new(&batch, Scale::Own(radius, None))?;
        let parts = self.parts(&batch, &stats)?;
        Ok((parts.join(&batch, &stats)?, stats.flags))
    }

    /// The radius and the sign, once they are known to be right.
    pub(super) fn checked(&self) -> Result<(f32, &Polar)> {
        let radius = super::clip::checked_radius(OP, self.radius)?;
        self.sign.check(OP)?;
        Ok((radius, &self.sign))
    }

    /// What the outcome is put together from.
    fn parts(&self, batch: &Batch<'_>, stats: &MatrixStats) -> Result<Parts> {
        let x = wide::to_wide(batch, stats, DType::F32)?;
        let (total, m, n) = (batch.total(), batch.m(), batch.n());
        let short = batch.rows.min(batch.cols);
        let o = self.sign_of(&x)?;
        // s c I - O (s X)^T, the first of which is known on the device.
        let radius = layout::slice(&stats.values, &[0..total, 2..3])?;
        let rest = [0.0f32, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(total);
        let rest = Tensor::from_slice(x.device(), &rest, [total, 7])?;
        let plan = &layout::concat_tensors(&[&radius, &rest], 1)?;
        let gap = Tensor::empty(x.device(), [total, m, m], DType::F32)?;
        let coefficients = Coefficients::Plan { plan, step: 0, steps: 1 };
        let product =
            SymmetricProduct { a: &o, b: &x, rows: true, batch: total, m, k: n, coefficients };
        product.record(Output::First(&gap))?;
        // In the padding gap is s c I, which the norm must not count.
        let sign = self.sign_of(&wide::corner(&gap, short)?)?;
        let mut below = commuting([&sign, &sign], [0.5, 0.5, 0.0, 0.0])?;
        for _ in 0..PURER {
            let square = matmul(&below, &below, Layout::NN)?;
            let cube = matmul(&square, &below, Layout::NN)?;
            below = blend([3.0, -2.0, 0.0], &square, &cube, None)?;
        }
        let above = wide::corner(&commuting([&below, &below], [1.0, -1.0, 0.0, 0.0])?, short)?;
        let above = MatrixStats::new(&Batch::new(OP, &[&above])?, Scale::ALONE)?.values;
        let reduced = binary(Binary::Mul, &o, &radius.reshape([total, 1, 1])?)?;
        let turned = matmul(&below, &blend([1.0, -1.0, 0.0], &x, &reduced, None)?, Layout::NN)?;
        Ok(Parts { o, turned, above })
    }

    /// The polar factor of matrices `[total, m, n]`, scaled to one first.
    fn sign_of(&self, x: &Tensor) -> Result<Tensor> {
        let batch = Batch::new(OP, &[x])?;
        let stats = MatrixStats::new(&batch, self.sign.scale())?;
        let unit = wide::to_wide(&batch, &stats, self.sign.stored_as())?;
        let (z, x) = self.sign.iterate(unit)?;
        Matmul::new().run(&z, &x)
    }
}

/// How often the error of a projector is squared: from 1e-6 to below the range of f32.
pub(super) const PURER: usize = 3;

/// `O`, `Q (s X - s c O)`, and stats of `I - Q`.
struct Parts {
    o: Tensor,
    turned: Tensor,
    above: Tensor,
}

impl Parts {
    /// A tensor for each of the batch.
    fn join(&self, batch: &Batch<'_>, stats: &MatrixStats) -> Result<Vec<Tensor>> {
        let join = |(x, first): (&Tensor, usize)| {
            let y = Tensor::empty(batch.device(), batch.shape, DType::F32)?;
            let params = wide::params(batch, [batch.m(), batch.n()], first);
            let launch = batch.device().launch(&HARD_JOIN).params(&params);
            let launch = launch.constant("TALL", batch.tall());
            let launch = launch
                .bind("x", x)
                .bind("o", &self.o)
                .bind("t", &self.turned)
                .bind("stats", &stats.values);
            launch.bind("above", &self.above).bind("y", &y).items(y.count()).record()?;
            Ok(y)
        };
        batch.parts().map(join).collect()
    }
}

/// Hard clips put together.
fn hard_join_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: wide::WideParams = args.params();
    let [rows, cols, m, n] = [p.rows, p.cols, p.m, p.n].map(|v| v as usize);
    let tall = args.flag("TALL");
    let (x, o, t) = (args.reals("x"), args.reals("o"), args.reals("t"));
    let (stats, over) = (args.reals("stats"), args.reals("above"));
    let y = &mut args.reals_mut("y")[..p.entries as usize * rows * cols];
    for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
        let e = p.first as usize + i / (rows * cols);
        let [s, c] = [stats[4 * e], stats[4 * e + 3]];
        let (row, col) = (i / cols % rows, i % cols);
        let (row, col) = if tall { (col, row) } else { (row, col) };
        let at = (e * m + row) * n + col;
        *y = if s == R::zero() {
            R::zero()
        } else if over[4 * e + 1] < R::lit(0.5) * over[4 * e] {
            *x
        } else {
            c * o[at] + t[at] / s
        };
    }
}
