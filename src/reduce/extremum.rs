//! Largest and smallest elements, and where they are.

use super::axes::{Axes, Pass};
use super::fold::{Fold, Op, fold};
use super::rows::{Extents, RowTurns, WALKERS, along, over_elements, over_rows};
use super::sum::refuse_empty;
use super::{moved_last, twin};
use crate::kernel::{CostArgs, Kernel, few_turns, shader};
use crate::{DType, Result, Tensor, Var, layout};

/// The first index of the largest or smallest element.
pub(super) static EXTREMUM: Kernel =
    Kernel::new("reduce", "extremum", shader!("reduce/extremum"), crate::twin!(twin::extremum))
        .params::<Extents>()
        .variants(WALKERS)
        .turns(turns);

/// One walk over a row, and a tree.
fn turns(args: &CostArgs<'_>) -> u64 {
    let row = RowTurns::of(args, args.params::<Extents>().length);
    row.walk() + row.fold
}

/// `y[o, k, j] = x[o, j] if k = index[o, j], else 0`
pub(super) static PLACE_BACK: Kernel = Kernel::new(
    "reduce",
    "place_back",
    shader!("reduce/place_back"),
    crate::twin!(twin::place_back),
)
.params::<Extents>()
.turns(few_turns);

/// The largest element over `axes`.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for an axis that x does not have or that is named
/// twice; [`Error::Shape`](crate::Error::Shape) for no elements;
/// [`Error::DType`](crate::Error::DType) unless x is f32.
pub fn max(x: &Tensor, axes: &[usize], keepdims: bool) -> Result<Tensor> {
    extreme("max", x, axes, keepdims, Op::Max)
}

/// The smallest element over `axes`.
///
/// # Errors
/// Those of [`max`].
pub fn min(x: &Tensor, axes: &[usize], keepdims: bool) -> Result<Tensor> {
    extreme("min", x, axes, keepdims, Op::Min)
}

/// Where the largest element along `axis` is: u32 indices. The first of equal ones.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for an axis that x does not have;
/// [`Error::Shape`](crate::Error::Shape) for no elements; [`Error::DType`](crate::Error::DType)
/// unless x is f32.
pub fn argmax(x: &Tensor, axis: usize, keepdims: bool) -> Result<Tensor> {
    arg("argmax", x, axis, keepdims, Op::Max)
}

/// Where the smallest element along `axis` is: u32 indices. The first of equal ones.
///
/// # Errors
/// Those of [`argmax`].
pub fn argmin(x: &Tensor, axis: usize, keepdims: bool) -> Result<Tensor> {
    arg("argmin", x, axis, keepdims, Op::Min)
}

fn extreme(op: &'static str, x: &Tensor, axes: &[usize], keep: bool, how: Op) -> Result<Tensor> {
    x.expect(op, DType::F32)?;
    let axes = Axes::new(op, x.shape(), axes)?;
    refuse_empty(op, x, &axes)?;
    let mut y = x.clone();
    for pass in axes.passes() {
        y = fold(&y, pass, Fold::of(how))?;
    }
    y.reshape(axes.result(keep)?)
}

fn arg(op: &'static str, x: &Tensor, axis: usize, keep: bool, how: Op) -> Result<Tensor> {
    x.expect(op, DType::F32)?;
    let pass = along(op, x.shape(), axis)?;
    let axes = Axes::new(op, x.shape(), &[axis])?;
    refuse_empty(op, x, &axes)?;
    index(x, pass, how)?.reshape(axes.result(keep)?)
}

/// The first index of the extremum of each row: `[outer, inner]`.
fn index(x: &Tensor, pass: Pass, how: Op) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), [pass.outer, pass.inner], DType::U32)?;
    if y.count() > 0 {
        over_rows(x.device(), &EXTREMUM, &Extents::from(pass), [y.count(), pass.length])
            .constant("MIN", u32::from(how == Op::Min))
            .bind_next(x)
            .bind_next(&y)
            .record()?;
    }
    Ok(y)
}

/// The gradient of the extremum of x over its trailing axes: all of it goes to the first place where
/// the extremum stands.
fn extremum_backward(x: &Tensor, pass: Pass, how: Op, gradient: &Tensor) -> Result<Tensor> {
    let index = index(x, pass, how)?;
    let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if gx.count() > 0 {
        let launch = x.device().launch(&PLACE_BACK).params(&Extents::from(pass));
        let launch = launch.bind_next(gradient).bind_next(&index).bind_next(&gx);
        over_elements(x.device(), launch, gx.count()).record()?;
    }
    Ok(gx)
}

impl Var {
    /// The largest element over `axes`. The gradient goes to the first of equal ones (with several
    /// axes: the first in the order of the shape).
    ///
    /// # Errors
    /// Those of [`reduce::max`](crate::reduce::max).
    pub fn max(&self, axes: &[usize], keepdims: bool) -> Result<Var> {
        self.extreme("max", axes, keepdims, Op::Max)
    }

    /// The smallest element over `axes`. The gradient goes to the first of equal ones (with several
    /// axes: the first in the order of the shape).
    ///
    /// # Errors
    /// Those of [`reduce::max`](crate::reduce::max).
    pub fn min(&self, axes: &[usize], keepdims: bool) -> Result<Var> {
        self.extreme("min", axes, keepdims, Op::Min)
    }

    fn extreme(&self, op: &'static str, axes: &[usize], keep: bool, how: Op) -> Result<Var> {
        self.value().expect(op, DType::F32)?;
        let chosen = Axes::new(op, self.shape(), axes)?;
        let y = extreme(op, self.value(), axes, keep, how)?;
        let x = self.value().clone();
        self.tape().record_one(op, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let moved = moved_last(&x, &chosen)?;
                let g = extremum_backward(&moved.x, moved.pass, how, gradient)?;
                bw.give(0, layout::permute(&g, &moved.back)?);
            }
            Ok(())
        })
    }
}
