//! Matrices that are worked on together: one tensor, or several of one shape.

use crate::{DType, Device, Error, Result, Shape, Tensor};

/// Elements that are worth a task of the host.
pub(super) const TASK: usize = 1 << 14;

/// Tensors of one shape, each a matrix or a batch of matrices (or of vectors), as a single batch.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) tensors: Vec<&'a Tensor>,
    /// The shape of each tensor.
    pub(super) shape: Shape,
    /// Matrices of each tensor.
    pub(super) entries: usize,
    /// Rows and columns of each matrix. A vector is one row.
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl<'a> Batch<'a> {
    /// Checks tensors. The last two axes are rows and columns; a tensor with one axis is a vector.
    pub(super) fn new(op: &'static str, tensors: &[&'a Tensor]) -> Result<Self> {
        let Some(first) = tensors.first() else {
            return Err(Error::argument(op, "no matrices"));
        };
        for tensor in tensors {
            tensor.expect(op, DType::F32)?;
            first.same_device(op, tensor)?;
            if tensor.shape() != first.shape() {
                let detail = format!("{} and {} in one batch", first.shape(), tensor.shape());
                return Err(Error::shape(op, detail));
            }
        }
        let shape = *first.shape();
        let (entries, rows, cols) = match shape.dims() {
            [] => (1, 1, 1),
            [count] => (1, 1, *count),
            [batch @ .., rows, cols] => (batch.iter().product(), *rows, *cols),
        };
        let total = entries.saturating_mul(tensors.len());
        if total > u32::MAX as usize {
            let (asked, allowed) = (total as u64, u64::from(u32::MAX));
            return Err(Error::Limit {
                what: format!("matrices of a batch ({op})"),
                asked,
                allowed,
            });
        }
        Ok(Self { tensors: tensors.to_vec(), shape, entries, rows, cols })
    }

    pub(super) fn device(&self) -> &'a Device {
        self.tensors[0].device()
    }

    /// All matrices together.
    pub(super) fn total(&self) -> usize {
        self.entries * self.tensors.len()
    }

    /// Elements of a matrix.
    pub(super) fn count(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the matrices are taller than wide.
    pub(super) fn tall(&self) -> bool {
        self.rows > self.cols
    }

    /// The smaller extent, rounded up to a multiple of 4: rows of the wide matrices.
    pub(super) fn m(&self) -> usize {
        self.rows.min(self.cols).next_multiple_of(4)
    }

    /// The larger extent, rounded up to a multiple of 4: columns of the wide matrices.
    pub(super) fn n(&self) -> usize {
        self.rows.max(self.cols).next_multiple_of(4)
    }

    /// Whether every matrix is a vector: its only singular value is its norm.
    pub(super) fn vectors(&self) -> bool {
        self.rows.min(self.cols) == 1
    }

    /// The tensors, each with the number of its first matrix in the batch.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'a Tensor, usize)> + '_ {
        self.tensors.iter().enumerate().map(|(i, tensor)| (*tensor, i * self.entries))
    }

    /// An output for each tensor where there is nothing to compute.
    pub(super) fn empty_outputs(&self) -> Result<Vec<Tensor>> {
        let zeros = |_: &&Tensor| Tensor::zeros(self.device(), self.shape, DType::F32);
        self.tensors.iter().map(zeros).collect()
    }
}
