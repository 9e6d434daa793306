//! Largest and smallest elements, and where they are.

use super::axes::{Axes, Pass};
use super::fold::{Fold, Op, fold};
use super::moved_last;
use super::rows::{Extents, RowIterations, WALKERS, along, over_elements, over_rows};
use super::sum::refuse_empty;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, above};
use crate::kernel::{CostArgs, few_iterations};
use crate::{DType, Result, Tensor, Var, layout};

crate::kernel! {
    /// The first index of the largest or smallest element.
    pub(super) static EXTREMUM = "reduce/extremum";
    params = Extents;
    oracle = extremum_oracle;
    variants = WALKERS;
    iterations = iterations;
}

crate::kernel! {
    /// `y[o, k, j] = x[o, j] if k = index[o, j], else 0`
    pub(super) static PLACE_BACK = "reduce/place_back";
    params = Extents;
    oracle = place_back_oracle;
    iterations = few_iterations;
}

/// One walk over a row, and a tree.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let row = RowIterations::of(args, args.params::<Extents>().length);
    row.walk() + row.fold
}

fn extremum_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let min = args.flag("MIN");
    let (x, y) = (args.reals("x"), args.words_mut("y"));
    y.par_iter_mut().enumerate().for_each(|(row, y)| {
        let value = |k: u32| x[p.row_start(row) + (k * p.inner) as usize];
        let better = |a: R, b: R| if min { above(-a, -b) } else { above(a, b) };
        *y = (1..p.length).fold(0, |best, k| if better(value(k), value(best)) { k } else { best });
    });
}

fn place_back_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Extents = args.params();
    let (x, index, y) = (args.reals("x"), args.words("index"), args.reals_mut("y"));
    let inner = p.inner as usize;
    y.par_chunks_mut(inner).enumerate().for_each(|(line, y)| {
        let (o, k) = (line / p.length as usize, line % p.length as usize);
        for (j, y) in y.iter_mut().enumerate() {
            let here = index[o * inner + j] as usize == k;
            *y = if here { x[o * inner + j] } else { R::zero() };
        }
    });
}

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
            .constant("MIN", how == Op::Min)
            .bind("x", x)
            .bind("y", &y)
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
        let launch = launch.bind("x", gradient).bind("index", &index).bind("y", &gx);
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
