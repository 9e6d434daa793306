//! Variances, standard deviations and norms.

use super::axes::{Axes, Pass};
use super::fold::{Fold, Op, Term, fold};
use super::rows::over_elements;
use super::{Moved, moved_last};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, difference_times, keep_nan};
use crate::kernel::few_iterations;
use crate::{DType, Error, Result, Tensor, Var, layout};

crate::kernel! {
    /// `gx = (x - center) g / divisor`, `x g / size`, or both
    pub(super) static MOMENT_BACKWARD = "reduce/moment_backward";
    params = struct MomentParams { outer: u32, length: u32, inner: u32, divisor: f32 };
    oracle = moment_backward_oracle;
    iterations = few_iterations;
}

fn moment_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MomentParams = args.params();
    let (centered, rooted) = (args.flag("CENTERED"), args.flag("ROOTED"));
    let [x, center, size, g] = ["x", "center", "size", "g"].map(|name| args.reals(name));
    let gx = args.reals_mut("gx");
    let (inner, divisor) = (p.inner as usize, R::lit(f64::from(p.divisor)));
    gx.par_chunks_mut(inner).enumerate().for_each(|(line, gx)| {
        let first = line / p.length as usize * inner;
        for (j, gx) in gx.iter_mut().enumerate() {
            let (x, at) = (x[line * inner + j], first + j);
            let middle = if centered { center[at] } else { R::zero() };
            let g = g[at] / divisor;
            *gx = match rooted {
                false => difference_times(x, middle, g),
                true if size[at] > R::zero() => ratio(x, middle, size[at]) * g,
                true => keep_nan(size[at], R::zero()),
            };
        }
    });
}

/// `(x - m) / size`, where the difference alone may be beyond f32.
fn ratio<R: Real>(x: R, m: R, size: R) -> R {
    let (d, half) = (x - m, R::lit(0.5));
    if d.is_infinite() { (half * x - half * m) / (half * size) } else { d / size }
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
    let axes = check_moment(VARIANCE, x, axes, correction)?;
    Moment::new(x, &axes, correction, false)?.value.reshape(axes.result(keepdims)?)
}

/// The standard deviation of x over `axes`: the root of the [`variance`], of numbers too whose variance is
/// beyond f32.
///
/// # Errors
/// Those of [`variance`].
pub fn standard_deviation(
    x: &Tensor,
    axes: &[usize],
    keepdims: bool,
    correction: usize,
) -> Result<Tensor> {
    let axes = check_moment(DEVIATION, x, axes, correction)?;
    Moment::new(x, &axes, correction, true)?.value.reshape(axes.result(keepdims)?)
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

const VARIANCE: &str = "variance";
const DEVIATION: &str = "standard_deviation";

fn check_moment(op: &'static str, x: &Tensor, axes: &[usize], correction: usize) -> Result<Axes> {
    x.expect(op, DType::F32)?;
    let axes = Axes::new(op, x.shape(), axes)?;
    if axes.count() <= correction {
        let detail =
            format!("of {} elements of shape {} less {correction}", axes.count(), x.shape());
        return Err(Error::shape(op, detail));
    }
    Ok(axes)
}

/// A variance, or its root, with what its gradient needs.
struct Moment {
    moved: Moved,
    mean: Tensor,
    value: Tensor,
    freedom: usize,
}

impl Moment {
    fn new(x: &Tensor, axes: &Axes, correction: usize, root: bool) -> Result<Self> {
        let moved = moved_last(x, axes)?;
        let Pass { length, .. } = moved.pass;
        let freedom = length - correction;
        let mean = Fold { divisor: length as f32, ..Fold::of(Op::Sum) };
        let mean = fold(&moved.x, moved.pass, mean)?;
        let term = Term::Deviation(&mean);
        let squares = Fold { term, divisor: freedom as f32, root, ..Fold::of(Op::Sum) };
        let value = fold(&moved.x, moved.pass, squares)?;
        Ok(Self { moved, mean, value, freedom })
    }
}

/// What a gradient is made of besides x: see `reduce/moment_backward.wgsl`.
struct Slope<'a> {
    center: Option<&'a Tensor>,
    size: Option<&'a Tensor>,
    divisor: f32,
}

/// The gradient of a moment, in the order of axes of x.
fn moment_backward(moved: &Moved, slope: Slope<'_>, gradient: &Tensor) -> Result<Tensor> {
    let Pass { outer, length, inner } = moved.pass;
    let params = MomentParams {
        outer: outer as u32,
        length: length as u32,
        inner: inner as u32,
        divisor: slope.divisor,
    };
    let device = gradient.device();
    let gx = Tensor::empty(device, *moved.x.shape(), DType::F32)?;
    if gx.count() > 0 {
        let launch = device.launch(&MOMENT_BACKWARD).params(&params);
        let launch = launch
            .constant("CENTERED", slope.center.is_some())
            .constant("ROOTED", slope.size.is_some())
            .bind("x", &moved.x)
            .bind_if("center", slope.center)
            .bind_if("size", slope.size)
            .bind("g", gradient)
            .bind("gx", &gx);
        over_elements(device, launch, gx.count()).record()?;
    }
    layout::permute(&gx, &moved.back)
}

impl Var {
    /// The variance over `axes`; see [`reduce::variance`](crate::reduce::variance).
    ///
    /// # Errors
    /// Those of [`reduce::variance`](crate::reduce::variance).
    pub fn variance(&self, axes: &[usize], keepdims: bool, correction: usize) -> Result<Var> {
        let axes = check_moment(VARIANCE, self.value(), axes, correction)?;
        let Moment { moved, mean, value, freedom } =
            Moment::new(self.value(), &axes, correction, false)?;
        let y = value.reshape(axes.result(keepdims)?)?;
        self.tape().record_one(VARIANCE, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let divisor = freedom as f32 / 2.0;
                let slope = Slope { center: Some(&mean), size: None, divisor };
                bw.give(0, moment_backward(&moved, slope, gradient)?);
            }
            Ok(())
        })
    }

    /// The standard deviation over `axes`; see
    /// [`reduce::standard_deviation`](crate::reduce::standard_deviation). The gradient where all
    /// elements are equal is 0.
    ///
    /// # Errors
    /// Those of [`reduce::variance`](crate::reduce::variance).
    pub fn standard_deviation(
        &self,
        axes: &[usize],
        keepdims: bool,
        correction: usize,
    ) -> Result<Var> {
        let axes = check_moment(DEVIATION, self.value(), axes, correction)?;
        let Moment { moved, mean, value, freedom } =
            Moment::new(self.value(), &axes, correction, true)?;
        let y = value.reshape(axes.result(keepdims)?)?;
        self.tape().record_one(DEVIATION, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let divisor = freedom as f32;
                let slope = Slope { center: Some(&mean), size: Some(&value), divisor };
                bw.give(0, moment_backward(&moved, slope, gradient)?);
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
                let slope = Slope { center: None, size: Some(&norm), divisor: 1.0 };
                bw.give(0, moment_backward(&moved, slope, gradient)?);
            }
            Ok(())
        })
    }
}
