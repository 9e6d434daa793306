//! Concatenation.

use super::slice::slice;
use super::view::{ELEMENTS, View, moved, refuse_time};
use crate::host::{HostArgs, Real};
use crate::kernel::Cost;
use crate::{Error, Result, Shape, Tensor, Var};
use std::ops::Range;

crate::kernel! {
    /// `y[o, start + j] = x[o, j]`
    pub(super) static PLACE = "layout/place";
    params = struct PlaceParams { outer: u32, run: u32, stride: u32, start: u32 };
    oracle = place_oracle;
    cost = |args| Cost { bytes: 8.0 * args.words_of("x") as f64, flops: 0.0 };
    variants = ELEMENTS;
}

fn place_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PlaceParams = args.params();
    moved!(args, |x, y| place_runs(&p, x, y))
}

fn place_runs<T: Copy>(p: &PlaceParams, x: &[T], y: &mut [T]) {
    let (run, start) = (p.run as usize, p.start as usize);
    for (from, to) in x.chunks(run).zip(y.chunks_mut(p.stride as usize)) {
        to[start..start + run].copy_from_slice(from);
    }
}

/// Tensors joined along an axis, in their order.
///
/// f32, u32, and packed spikes along other axes than time.
///
/// # Errors
/// [`Error::Argument`] for no tensors or an axis that they do not have; [`Error::Shape`] where other
/// extents differ; [`Error::DType`], [`Error::DeviceMismatch`] where types or devices do.
pub fn concat_tensors(parts: &[&Tensor], axis: usize) -> Result<Tensor> {
    let shape = joined(parts, axis)?;
    let Some(first) = parts.first() else { return Err(none()) };
    let view = View::of("concat", first)?;
    refuse_time("concat", &view, axis != 0)?;
    let y = view.output(view.shape().with(axis, shape[axis])?)?;
    let (outer, total, inner) = y.shape().around(axis)?;
    let mut start = 0;
    for part in parts {
        let part = View::of("concat", part)?;
        let run = part.shape()[axis] * inner;
        let params = PlaceParams {
            outer: outer as u32,
            run: run as u32,
            stride: (total * inner) as u32,
            start: start as u32,
        };
        place(&part, &y, &params)?;
        start += run;
    }
    view.restore(y)
}

/// Writes `part` to its place in `y`.
fn place(part: &View, y: &Tensor, params: &PlaceParams) -> Result<()> {
    let words = &part.words;
    if words.count() > 0 {
        let launch = part.launch(&PLACE).params(params);
        launch.bind("x", words).bind("y", y).items(words.count()).record()?;
    }
    Ok(())
}

/// Writes `part` over rows `first ..` of `y`, two f32 tensors that differ in their leading extent
/// only.
pub(crate) fn place_rows(part: &Tensor, y: &Tensor, first: usize) -> Result<()> {
    let row: usize = y.shape().iter().skip(1).product();
    let params = PlaceParams {
        outer: 1,
        run: part.count() as u32,
        stride: y.count() as u32,
        start: (first * row) as u32,
    };
    place(&View::of("concat", part)?, y, &params)
}

fn none() -> Error {
    Error::argument("concat", "no tensors")
}

/// The shape of the outcome.
fn joined(parts: &[&Tensor], axis: usize) -> Result<Shape> {
    let Some((first, rest)) = parts.split_first() else { return Err(none()) };
    let mut shape = *first.shape();
    if axis >= shape.rank() {
        return Err(Error::argument("concat", format!("axis {axis} of shape {shape}")));
    }
    for part in rest {
        part.same_device("concat", first)?;
        part.expect("concat", first.dtype())?;
        let extent = part.shape().get(axis).copied().unwrap_or(0);
        if part.shape().rank() != shape.rank()
            || part.shape().with(axis, 0)? != first.shape().with(axis, 0)?
        {
            let detail = format!(
                "{} and {} along axis {axis}, expected shapes that differ there alone",
                first.shape(),
                part.shape()
            );
            return Err(Error::shape("concat", detail));
        }
        shape = shape.with(axis, shape[axis].saturating_add(extent))?;
    }
    Ok(shape)
}

/// Variables joined along an axis, in their order; see [`concat_tensors`]. Each gradient is a slice.
///
/// # Errors
/// Those of [`concat_tensors`]; [`Error::TapeMismatch`].
pub fn concat(parts: &[&Var], axis: usize) -> Result<Var> {
    let values: Vec<&Tensor> = parts.iter().map(|v| v.value()).collect();
    let y = concat_tensors(&values, axis)?;
    let Some(first) = parts.first() else { return Err(none()) };
    let mut start = 0;
    let mut places: Vec<Vec<Range<usize>>> = Vec::new();
    for part in &values {
        let mut ranges: Vec<_> = part.shape().iter().map(|extent| 0..*extent).collect();
        ranges[axis] = start..start + part.shape()[axis];
        start = ranges[axis].end;
        places.push(ranges);
    }
    first.tape().record_one("concat", parts, y, move |bw| {
        for (i, ranges) in places.iter().enumerate() {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(i)) {
                let g = slice(gradient, ranges)?;
                bw.give(i, g);
            }
        }
        Ok(())
    })
}
