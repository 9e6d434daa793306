//! Which axes are reduced, as passes over `[outer, length, inner]`.

use crate::error::{Error, Result};
use crate::shape::{MAX_RANK, Shape};

/// One reduction of the middle of three axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) outer: usize,
    pub(crate) length: usize,
    pub(crate) inner: usize,
}

/// A checked set of axes of a shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axes {
    shape: Shape,
    reduced: [bool; MAX_RANK],
}

impl Axes {
    /// The axes `axes` of `shape`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an axis that the shape does not have, or one that is named twice.
    pub(crate) fn new(op: &'static str, shape: &Shape, axes: &[usize]) -> Result<Self> {
        let mut reduced = [false; MAX_RANK];
        for axis in axes {
            if *axis >= shape.rank() {
                let detail = format!("axis {axis} of shape {shape}, which has {}", shape.rank());
                return Err(Error::argument(op, detail));
            }
            if std::mem::replace(&mut reduced[*axis], true) {
                return Err(Error::argument(op, format!("axis {axis} is named twice in {axes:?}")));
            }
        }
        Ok(Self { shape: *shape, reduced })
    }

    /// All axes of `shape`.
    pub(crate) fn all(shape: &Shape) -> Self {
        Self { shape: *shape, reduced: [true; MAX_RANK] }
    }

    /// The elements that become one.
    pub(crate) fn count(&self) -> usize {
        self.extents().filter(|(_, reduced)| *reduced).map(|(extent, _)| extent).product()
    }

    /// The shape of the outcome: reduced axes are left out, or kept with extent 1.
    pub(crate) fn result(&self, keepdims: bool) -> Result<Shape> {
        let kept = |(extent, reduced)| match (reduced, keepdims) {
            (false, _) => Some(extent),
            (true, true) => Some(1),
            (true, false) => None,
        };
        Shape::new(&self.extents().filter_map(kept).collect::<Vec<_>>())
    }

    /// The passes whose succession reduces all axes: one for each run of neighbouring axes,
    /// innermost first. Axes of extent 1 separate nothing.
    pub(crate) fn passes(&self) -> Vec<Pass> {
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for (extent, reduced) in self.extents().filter(|(extent, _)| *extent != 1) {
            match runs.last_mut() {
                Some((run, kind)) if *kind == reduced => *run *= extent,
                _ => runs.push((extent, reduced)),
            }
        }
        let mut passes = Vec::new();
        let mut inner = 1;
        for (at, (extent, reduced)) in runs.iter().enumerate().rev() {
            if *reduced {
                let outer = runs[..at].iter().map(|(extent, _)| extent).product();
                passes.push(Pass { outer, length: *extent, inner });
            } else {
                inner *= extent;
            }
        }
        passes
    }

    /// The order of axes that puts the reduced ones last.
    pub(crate) fn reduced_last(&self) -> Vec<usize> {
        let of = |kind: bool| (0..self.shape.rank()).filter(move |a| self.reduced[*a] == kind);
        of(false).chain(of(true)).collect()
    }

    fn extents(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.shape.iter().copied().zip(self.reduced)
    }
}

#[cfg(test)]
mod tests {
    use super::{Axes, Pass};
    use crate::Shape;

    #[test]
    fn passes_merge_neighbours_and_skip_ones() {
        let shape = Shape::new(&[2, 3, 1, 5, 7]).unwrap();
        let passes = |axes: &[usize]| Axes::new("test", &shape, axes).unwrap().passes();
        assert_eq!(passes(&[1, 3]), [Pass { outer: 2, length: 15, inner: 7 }]);
        assert_eq!(
            passes(&[4, 0]),
            [Pass { outer: 30, length: 7, inner: 1 }, Pass { outer: 1, length: 2, inner: 15 }]
        );
        assert_eq!(passes(&[2]), []);
        assert_eq!(Axes::all(&shape).passes(), [Pass { outer: 1, length: 210, inner: 1 }]);
    }
}
