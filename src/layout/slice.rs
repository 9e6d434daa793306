//! Slices, and padding with zeros: each the adjoint of the other.

use super::strided::strided;
use super::view::{ELEMENTS, View, moved, octet, refuse_time, strides};
use crate::host::{HostArgs, Real, each};
use crate::kernel::few_iterations;
use crate::{Error, Result, Shape, Tensor, Var};
use std::ops::Range;

crate::params! {
    /// Extents stand innermost first.
    pub(super) struct PadParams {
        outside: [u32; 8],
        inside: [u32; 8],
        before: [u32; 8],
        count: u32,
        rank: u32,
        unused: [u32; 2],
    }
}

crate::kernel! {
    /// `y[c] = x[c - before]` inside, 0 outside
    pub(super) static PAD = "layout/pad";
    params = PadParams;
    oracle = pad_oracle;
    variants = ELEMENTS;
    iterations = few_iterations;
}

fn pad_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PadParams = args.params();
    moved!(args, |x, y| move_padded(&p, x, y))
}

fn move_padded<T: Copy + Default + Send + Sync>(p: &PadParams, x: &[T], y: &mut [T]) {
    each(y, |i| padded(p, i).map_or(T::default(), |from| x[from]));
}

/// Where element `i` of the outcome comes from; `None` for the zeros outside.
fn padded(p: &PadParams, i: usize) -> Option<usize> {
    let (mut rest, mut from, mut stride) = (i, 0, 1);
    for a in 0..p.rank as usize {
        let c = rest % p.outside[a] as usize;
        let inside = c.checked_sub(p.before[a] as usize)?;
        if inside >= p.inside[a] as usize {
            return None;
        }
        from += inside * stride;
        stride *= p.inside[a] as usize;
        rest /= p.outside[a] as usize;
    }
    Some(from)
}

/// The part of x within `ranges`, one for each axis.
///
/// f32, u32, and packed spikes whose time axis stays whole.
///
/// # Errors
/// [`Error::Shape`] for another number of ranges than axes, or a range that ends before it starts or
/// beyond its axis; [`Error::DType`] for f16.
pub fn slice(x: &Tensor, ranges: &[Range<usize>]) -> Result<Tensor> {
    check_ranges(x.shape(), ranges)?;
    let view = View::of("slice", x)?;
    let whole = ranges.iter().zip(x.shape().iter()).map(|(r, extent)| *r == (0..*extent));
    let whole: Vec<bool> = whole.collect();
    if whole.iter().all(|w| *w) {
        return Ok(x.clone());
    }
    refuse_time("slice", &view, whole.first() == Some(&true))?;
    let steps = strides(view.shape());
    let mut dims = *view.shape();
    let mut base = 0;
    for (axis, range) in ranges.iter().enumerate().filter(|(axis, _)| !whole[*axis]) {
        dims = dims.with(axis, range.len())?;
        base += range.start * steps[axis];
    }
    view.restore(strided(&view, dims, &steps, base)?)
}

fn check_ranges(shape: &Shape, ranges: &[Range<usize>]) -> Result<()> {
    let inside = |(r, extent): (&Range<usize>, &usize)| r.start <= r.end && r.end <= *extent;
    if ranges.len() != shape.rank() || !ranges.iter().zip(shape.iter()).all(inside) {
        return Err(Error::shape("slice", format!("{ranges:?} of shape {shape}")));
    }
    Ok(())
}

/// x with `widths[a].0` zeros before and `widths[a].1` zeros after it along each axis `a`.
///
/// f32, u32, and packed spikes whose time axis gets none.
///
/// # Errors
/// [`Error::Shape`] for another number of widths than axes; [`Error::DType`] for f16;
/// [`Error::Limit`] for a result that is too large.
pub fn pad(x: &Tensor, widths: &[(usize, usize)]) -> Result<Tensor> {
    if widths.len() != x.shape().rank() {
        let detail = format!("{} widths for shape {}", widths.len(), x.shape());
        return Err(Error::shape("pad", detail));
    }
    if widths.iter().all(|w| *w == (0, 0)) {
        return Ok(x.clone());
    }
    let view = View::of("pad", x)?;
    refuse_time("pad", &view, widths.first() == Some(&(0, 0)))?;
    let mut dims = *view.shape();
    for (axis, (before, after)) in widths.iter().enumerate() {
        let extent = dims[axis].saturating_add(*before).saturating_add(*after);
        dims = dims.with(axis, extent)?;
    }
    let y = view.output(dims)?;
    if y.count() > 0 {
        let params = pad_params(view.shape(), &dims, widths);
        let launch = view.launch(&PAD).params(&params);
        launch.bind("x", &view.words).bind("y", &y).items(y.count()).record()?;
    }
    view.restore(y)
}

/// Extents innermost first; an axis without padding is made one with the axis outside of it.
fn pad_params(inside: &Shape, outside: &Shape, widths: &[(usize, usize)]) -> PadParams {
    let mut axes: Vec<[usize; 3]> = Vec::new();
    // What the axes inside of the present one come to, as long as they have no padding.
    let mut run = 1;
    for axis in (0..widths.len()).rev() {
        if widths[axis] == (0, 0) {
            run *= inside[axis];
        } else {
            axes.push([outside[axis] * run, inside[axis] * run, widths[axis].0 * run]);
            run = 1;
        }
    }
    if run > 1 {
        axes.push([run, run, 0]);
    }
    PadParams {
        outside: octet(axes.iter().map(|a| a[0]), 1),
        inside: octet(axes.iter().map(|a| a[1]), 1),
        before: octet(axes.iter().map(|a| a[2]), 0),
        count: outside.count() as u32,
        rank: axes.len() as u32,
        unused: [0; 2],
    }
}

impl Var {
    /// The part within `ranges`; see [`layout::slice`](crate::layout::slice). The gradient is padded
    /// with zeros.
    ///
    /// # Errors
    /// Those of [`layout::slice`](crate::layout::slice).
    pub fn slice(&self, ranges: &[Range<usize>]) -> Result<Var> {
        let y = slice(self.value(), ranges)?;
        let ends = ranges.iter().zip(self.shape().iter());
        let widths: Vec<_> = ends.map(|(r, extent)| (r.start, extent - r.end)).collect();
        self.tape().record_one("slice", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = pad(gradient, &widths)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }

    /// Part of one axis, the others whole.
    ///
    /// # Errors
    /// [`Error::Argument`] for an axis that it does not have; those of [`slice`](Self::slice).
    pub fn narrow(&self, axis: usize, range: Range<usize>) -> Result<Var> {
        let mut ranges: Vec<_> = self.shape().iter().map(|extent| 0..*extent).collect();
        match ranges.get_mut(axis) {
            Some(place) => *place = range,
            None => {
                let detail = format!("axis {axis} of shape {}", self.shape());
                return Err(Error::argument("narrow", detail));
            }
        }
        self.slice(&ranges)
    }

    /// With zeros around; see [`layout::pad`](crate::layout::pad). The gradient is the part inside.
    ///
    /// # Errors
    /// Those of [`layout::pad`](crate::layout::pad).
    pub fn pad(&self, widths: &[(usize, usize)]) -> Result<Var> {
        let y = pad(self.value(), widths)?;
        let extents = widths.iter().zip(self.shape().iter());
        let ranges: Vec<_> = extents.map(|((before, _), n)| *before..before + n).collect();
        self.tape().record_one("pad", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = slice(gradient, &ranges)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
