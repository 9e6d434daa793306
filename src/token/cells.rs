//! Rows in cells: four elements where the row's length allows, else one.

use crate::kernel::Kernel;
use crate::{Device, Launch};

/// How many elements of rows of `length` make a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    pub(super) width: usize,
}

impl Cells {
    pub(super) fn of(length: usize) -> Self {
        let wide = length > 0 && length.is_multiple_of(4);
        Self { width: if wide { 4 } else { 1 } }
    }

    /// The cells of `elements`.
    pub(super) fn count(self, elements: usize) -> u32 {
        (elements / self.width) as u32
    }

    /// A launch of one invocation a cell of `elements`, of a kernel whose variants are `CELLS`.
    pub(super) fn launch(
        self,
        device: &Device,
        kernel: &'static Kernel,
        elements: usize,
    ) -> Launch {
        device.launch(kernel).when("wide", self.width == 4).items(elements / self.width)
    }
}
