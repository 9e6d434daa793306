//! Shapes: row-major, contiguous, at most eight axes.

use std::ops::Deref;

/// The most axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// The extents of a tensor, outermost first. Data is contiguous and row-major; there are no strides.
///
/// Made from arrays, slices and vectors; the empty shape is a scalar. A longer list than
/// [`MAX_RANK`] is cut by no constructor: it is refused with an error where the tensor is made
/// ([`Shape::new`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape with these extents.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) above [`MAX_RANK`] axes, and for extents whose product
    /// (those of 0 left out) is no number of this machine.
    pub fn new(dims: &[usize]) -> crate::Result<Self> {
        if dims.len() > MAX_RANK {
            return Err(crate::Error::Limit {
                what: "axes of a tensor".into(),
                asked: dims.len() as u64,
                allowed: MAX_RANK as u64,
            });
        }
        let product = dims.iter().try_fold(1usize, |n, d| n.checked_mul((*d).max(1)));
        if product.is_none() {
            return Err(crate::Error::Limit {
                what: format!("elements of a tensor of shape {dims:?}"),
                asked: u64::MAX,
                allowed: 1 << 31,
            });
        }
        let mut out = [1; MAX_RANK];
        out[..dims.len()].copy_from_slice(dims);
        Ok(Self { dims: out, rank: dims.len() })
    }

    /// The extents.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of elements: the product of the extents, 1 for a scalar.
    pub fn count(&self) -> usize {
        product(self.dims())
    }

    /// The extents with axis `axis` replaced by `extent`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if there is no such axis; those of
    /// [`Shape::new`].
    pub fn with(mut self, axis: usize, extent: usize) -> crate::Result<Self> {
        self.check_axis("with", axis)?;
        self.dims[axis] = extent;
        Self::new(self.dims())
    }

    /// Splits at an axis: (product before, extent, product after).
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if there is no such axis.
    pub fn around(&self, axis: usize) -> crate::Result<(usize, usize, usize)> {
        self.check_axis("around", axis)?;
        let dims = self.dims();
        Ok((product(&dims[..axis]), dims[axis], product(&dims[axis + 1..])))
    }

    fn check_axis(&self, op: &'static str, axis: usize) -> crate::Result<()> {
        if axis < self.rank {
            return Ok(());
        }
        Err(crate::Error::argument(op, format!("axis {axis} of shape {self}")))
    }

    /// The shape that two shapes broadcast to (extents equal or 1, aligned at the last axis), or
    /// `None` where they do not.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank.max(other.rank);
        let mut out = Shape { dims: [1; MAX_RANK], rank };
        for back in 1..=rank {
            let at = |s: &Shape| if back <= s.rank { s.dims[s.rank - back] } else { 1 };
            out.dims[rank - back] = match (at(self), at(other)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Some(out)
    }
}

/// The product of extents. Where it is no number, the largest one stands for it, which no tensor has:
/// such shapes come from shapes that were broadcast or from a caller's own lists.
pub(crate) fn product(dims: &[usize]) -> usize {
    if dims.contains(&0) { 0 } else { dims.iter().fold(1, |n, d| n.saturating_mul(*d)) }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        self.dims()
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dims().fmt(f)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.dims() == other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.dims() == other
    }
}

/// Anything a shape can be made from.
pub trait IntoShape {
    /// The shape.
    ///
    /// # Errors
    /// Too many axes.
    fn into_shape(self) -> crate::Result<Shape>;
}

impl IntoShape for Shape {
    fn into_shape(self) -> crate::Result<Shape> {
        Ok(self)
    }
}
impl IntoShape for &Shape {
    fn into_shape(self) -> crate::Result<Shape> {
        Ok(*self)
    }
}
impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> crate::Result<Shape> {
        Shape::new(&self)
    }
}
impl IntoShape for &[usize] {
    fn into_shape(self) -> crate::Result<Shape> {
        Shape::new(self)
    }
}
impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> crate::Result<Shape> {
        Shape::new(self)
    }
}
impl IntoShape for Vec<usize> {
    fn into_shape(self) -> crate::Result<Shape> {
        Shape::new(&self)
    }
}
