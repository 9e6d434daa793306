//! How a product is run.

use crate::kernel::Kernel;
use crate::{Device, Launch};

/// Rows and columns of a workgroup's tile.
const TILED: usize = 64;

/// The kernel of a product, and its tiles.
pub(super) struct Tiling {
    pub(super) kernel: &'static Kernel,
    /// Rows and columns of a tile.
    pub(super) edge: usize,
    /// Invocations of a workgroup, each with a tile; none where a workgroup shares one.
    workgroup: Option<u32>,
}

impl Tiling {
    /// Tiles in workgroup memory where the shorter extent fills a good part of one and barriers are
    /// cheap; else register tiles, of 4 x 4 where those of 8 x 8 would be too few.
    pub(super) fn of(
        device: &Device,
        [registers, tiled]: [&'static Kernel; 2],
        shorter: usize,
        tiles_of_eight: usize,
    ) -> Self {
        let tuning = device.tuning();
        if !tuning.alone && shorter >= TILED / 2 {
            return Self { kernel: tiled, edge: TILED, workgroup: None };
        }
        let edge = if tiles_of_eight >= tuning.wide_tiles { 8 } else { 4 };
        Self { kernel: registers, edge, workgroup: Some(tuning.tile_group) }
    }

    /// Gives a launch of the kernel its grid, and the size of register tiles.
    pub(super) fn over(&self, launch: Launch, tiles: usize) -> Launch {
        match self.workgroup {
            None => launch.workgroups(tiles),
            Some(size) => {
                launch.constant("R", self.edge as u32 / 4).constant("WG", size).items(tiles)
            }
        }
    }
}
