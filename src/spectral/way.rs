//! How a product is run.

use crate::kernel::Kernel;
use crate::linalg::BUSY_INVOCATIONS;
use crate::{Device, Launch};

/// Rows and columns of a workgroup's tile.
const TILED: usize = 64;

/// The kernel, the edge of its tiles, tiles of a workgroup.
pub(super) struct Way {
    pub(super) kernel: &'static Kernel,
    pub(super) edge: usize,
    pub(super) workgroup: u32,
}

impl Way {
    /// Tiles in workgroup memory where the shorter extent fills a good part of one and barriers are
    /// cheap; else register tiles, of 4 x 4 where those of 8 x 8 would be too few.
    pub(super) fn of(
        device: &Device,
        [registers, tiled]: [&'static Kernel; 2],
        shorter: usize,
        tiles_of_eight: usize,
    ) -> Self {
        let software = device.capabilities().software;
        if !software && shorter >= TILED / 2 {
            return Self { kernel: tiled, edge: TILED, workgroup: 1 };
        }
        let edge = if tiles_of_eight >= BUSY_INVOCATIONS { 8 } else { 4 };
        Self { kernel: registers, edge, workgroup: if software { 8 } else { 64 } }
    }

    /// Tells a launch of the kernel the size of its register tiles.
    pub(super) fn sized(&self, launch: Launch) -> Launch {
        if self.edge == TILED {
            return launch;
        }
        launch.constant("R", self.edge as u32 / 4).constant("WG", self.workgroup)
    }
}
