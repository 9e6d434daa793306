//! Variances and norms.

use super::axes::{Axes, Pass};
use super::fold::{Fold, Op, Term, fold};
use super::rows::over_elements;
use super::{Moved, moved_last};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, difference_times, keep_nan};
use crate::kernel::few_turns;
use crate::{DType, Error, Result, Tensor, Var, layout};

crate::kernel! {
    /// `gx = (x - m) g / divisor`, or `x g / m`
    pub(super) static MOMENT_BACKWARD = "reduce/moment_backward";
    params = struct MomentParams { outer: u32, length: u32, inner: u32, divisor: f32 };
    oracle = moment_backward_oracle;
    turns = few_turns;
}

fn moment_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MomentParams = args.params();
    let norm = args.flag("NORM");
    let (x, m, g, gx) = (args.reals("x"), args.reals("m"), args.reals("g"), args.reals_mut("gx"));
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    gx.par_chunks_mut(inner).enumerate().for_each(|(line, gx)| {
        let o = line / p.length as usize;
        for (j, gx) in gx.iter_mut().enumerate() {
            let (x, m, g) = (x[line * inner + j], m[o * inner + j], g[o * inner + j]);
            *gx = match norm {
                false => difference_times(x, m, g / divisor),
                true if m > R::zero() => x / m * g,
                true => keep_nan(m, R::zero()),
            };
        }
    });
}

/// The variance of x over `axes`: `sum_k (x_k - mean)^2 / (n - correction)` over n elements. In two
/// passes, so that a large mean costs no accuracy.
///
/// `correction` is 0 for the biased variance (normalisation layers use it), 1 for the unbiased one.
///
/// # Errors
/// [`Error::Argument`] for an axis that x does not have or that is named twice; [`Error::Shape`]
/// unless there are more elements than `correction`; [`Error::DType`] unless x is f32.
pub fn variance(x: &Tensor, axes: &[usize], keepdims: bool, correction: usize) -> Result<Tensor> {
    let axes = check_variance(x, axes, correction)?;
    Variance::new(x, &axes, correction)?.variance.reshape(axes.result(keepdims)?)
}

/// The Euclidean norm of x over `axes`: `sqrt(sum_k x_k^2)`. The norm of no elements is 0.
///
/// # Errors
/// [`Error::Argument`] for an axis that x does not have or that is named twice; [`Error::DType`]
/// unless x is f32.
pub fn norm(x: &Tensor, axes: &[usize], keepdims: bool) -> Result<Tensor> {
    x.expect("norm", DType::F32)?;
    let axes = Axes::new("norm", x.shape(), axes)?;
    if axes.count() == 0 {
        return Tensor::zeros(x.device(), axes.result(keepdims)?, DType::F32);
    }
    norm_of(&moved_last(x, &axes)?)?.reshape(axes.result(keepdims)?)
}

fn norm_of(moved: &Moved) -> Result<Tensor> {
    let squares = Fold { term: Term::Square, root: true, ..Fold::of(Op::Sum) };
    fold(&moved.x, moved.pass, squares)
}

fn check_variance(x: &Tensor, axes: &[usize], correction: usize) -> Result<Axes> {
    x.expect("variance", DType::F32)?;
    let axes = Axes::new("variance", x.shape(), axes)?;
    if axes.count() <= correction {
        let detail =
            format!("of {} elements of shape {} less {correction}", axes.count(), x.shape());
        return Err(Error::shape("variance", detail));
    }
    Ok(axes)
}

/// A variance with what its gradient needs.
struct Variance {
    moved: Moved,
    mean: Tensor,
    variance: Tensor,
    freedom: usize,
}

impl Variance {
    fn new(x: &Tensor, axes: &Axes, correction: usize) -> Result<Self> {
        let moved = moved_last(x, axes)?;
        let Pass { length, .. } = moved.pass;
        let freedom = length - correction;
        let mean = Fold { divisor: length as f32, ..Fold::of(Op::Sum) };
        let mean = fold(&moved.x, moved.pass, mean)?;
        let squares =
            Fold { term: Term::Deviation(&mean), divisor: freedom as f32, ..Fold::of(Op::Sum) };
        let variance = fold(&moved.x, moved.pass, squares)?;
        Ok(Self { moved, mean, variance, freedom })
    }
}

/// The gradient of a variance (`divisor`) or of a norm (`None`), in the order of axes of x.
fn moment_backward(
    moved: &Moved,
    m: &Tensor,
    gradient: &Tensor,
    divisor: Option<f32>,
) -> Result<Tensor> {
    let Pass { outer, length, inner } = moved.pass;
    let params = MomentParams {
        outer: outer as u32,
        length: length as u32,
        inner: inner as u32,
        divisor: divisor.unwrap_or(1.0),
    };
    let gx = Tensor::empty(m.device(), *moved.x.shape(), DType::F32)?;
    if gx.count() > 0 {
        let launch = m.device().launch(&MOMENT_BACKWARD).params(&params);
        let launch = launch.constant("NORM", divisor.is_none());
        let launch = launch.bind("x", &moved.x).bind("m", m).bind("g", gradient).bind("gx", &gx);
        over_elements(m.device(), launch, gx.count()).record()?;
    }
    layout::permute(&gx, &moved.back)
}

impl Var {
    /// The variance over `axes`; see [`reduce::variance`](crate::reduce::variance).
    ///
    /// # Errors
    /// Those of [`reduce::variance`](crate::reduce::variance).
    pub fn variance(&self, axes: &[usize], keepdims: bool, correction: usize) -> Result<Var> {
        let axes = check_variance(self.value(), axes, correction)?;
        let Variance { moved, mean, variance, freedom } =
            Variance::new(self.value(), &axes, correction)?;
        let y = variance.reshape(axes.result(keepdims)?)?;
        self.tape().record_one("variance", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let divisor = freedom as f32 / 2.0;
                let g = moment_backward(&moved, &mean, gradient, Some(divisor))?;
                bw.give(0, g);
            }
            Ok(())
        })
    }

    /// The Euclidean norm over `axes`; see [`reduce::norm`](crate::reduce::norm). The gradient at
    /// the origin is 0.
    ///
    /// # Errors
    /// Those of [`reduce::norm`](crate::reduce::norm); [`Error::Shape`] for no elements.
    pub fn norm(&self, axes: &[usize], keepdims: bool) -> Result<Var> {
        self.value().expect("norm", DType::F32)?;
        let axes = Axes::new("norm", self.shape(), axes)?;
        super::sum::refuse_empty("norm", self.value(), &axes)?;
        let moved = moved_last(self.value(), &axes)?;
        let norm = norm_of(&moved)?;
        let y = norm.reshape(axes.result(keepdims)?)?;
        self.tape().record_one("norm", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = moment_backward(&moved, &norm, gradient, None)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
