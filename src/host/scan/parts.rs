//! How a launch is cut for threads.

use crate::host::columns::{cut_mut, width};
use crate::scan::params::Share;

/// Columns, steps and chunks of a launch; it covers the steps from `start` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) columns: usize,
    pub(super) steps: usize,
    pub(super) start: usize,
    pub(super) channels: usize,
    pub(super) chunk: usize,
    pub(super) chunks: usize,
}

/// Columns `first ..` of `width`, steps `start .. end` of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) chunk: usize,
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Grid {
    pub(super) fn new(share: Share) -> Self {
        Self {
            columns: share.columns as usize,
            steps: share.steps as usize,
            start: share.start as usize,
            channels: share.channels as usize,
            chunk: share.chunk as usize,
            chunks: share.chunks as usize,
        }
    }

    /// Columns of a block.
    fn block(&self) -> usize {
        if self.chunks > 1 { self.columns } else { width(self.columns, self.steps) }
    }

    /// The parts, chunk by chunk.
    pub(super) fn parts(&self) -> Vec<Part> {
        let block = self.block();
        let mut parts = Vec::with_capacity(self.chunks * self.columns.div_ceil(block));
        for chunk in 0..self.chunks {
            let start = self.start + chunk * self.chunk;
            let end = (start + self.chunk).min(self.steps);
            for first in (0..self.columns).step_by(block) {
                let width = block.min(self.columns - first);
                parts.push(Part { chunk, first, width, start, end });
            }
        }
        parts
    }

    /// The rows of a matrix, `rows` a chunk from row `first` on, as the parts own them, in their
    /// order; nothing if the matrix is not `wanted`.
    pub(super) fn cut<'a>(
        &self,
        wanted: bool,
        matrix: &'a mut [f32],
        first: usize,
        rows: usize,
    ) -> Vec<Option<Rows<'a>>> {
        let (block, width) = (self.block(), self.columns);
        if !wanted {
            return (0..self.chunks * width.div_ceil(block)).map(|_| None).collect();
        }
        let matrix = &mut matrix[first * width..];
        let all = (rows * self.chunks * width).min(matrix.len());
        let matrix = &mut matrix[..all];
        if self.chunks > 1 || block >= width {
            let whole = |data| Some(Rows::Whole { data, width });
            return matrix.chunks_mut(rows * width).map(whole).collect();
        }
        cut_mut(matrix, width, block).into_iter().map(|rows| Some(Rows::Cut(rows))).collect()
    }
}

/// Rows of a part.
pub(super) enum Rows<'a> {
    /// Whole rows, one after the other.
    Whole { data: &'a mut [f32], width: usize },
    /// Parts of rows.
    Cut(Vec<&'a mut [f32]>),
}

impl Rows<'_> {
    /// Row `i`.
    #[inline(always)]
    pub(super) fn row(&mut self, i: usize) -> &mut [f32] {
        match self {
            Rows::Whole { data, width } => &mut data[i * *width..(i + 1) * *width],
            Rows::Cut(rows) => rows[i],
        }
    }

    /// All rows, if they are whole.
    pub(super) fn whole(&mut self) -> Option<&mut [f32]> {
        match self {
            Rows::Whole { data, .. } => Some(data),
            Rows::Cut(_) => None,
        }
    }
}
