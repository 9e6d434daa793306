//! How the steps of a scan are cut.

use crate::dispatch::Launch;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::{Device, Shape};

/// How a scan goes through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plan {
    /// In one walk where there are columns enough for the device, else in chunks.
    #[default]
    Auto,
    /// In one walk: every element is read once.
    Sequential,
    /// In chunks of so many steps, a multiple of 8: every input is read twice, by as many invocations
    /// more as there are chunks.
    Chunked(u32),
}

/// Columns from which on one walk through time is faster than chunks, by device. On hardware: an
/// estimate from eight loads in flight an invocation. On a software adapter and the host: measured
/// on two cores (`benches/suite/scan.rs`).
const ENOUGH_ON_HARDWARE: usize = 1 << 15;
const ENOUGH_ON_SOFTWARE: usize = 128;
const ENOUGH_ON_HOST: usize = 16;

/// The shortest and the longest chunk that is chosen.
const SHORTEST: usize = 64;
const LONGEST: usize = 256;

/// Steps from which on a software adapter does better if a workgroup marches together.
const LONG: usize = 128;

/// Columns of a workgroup, and of one that marches: the `override WG` of the shaders.
const WORKGROUP: u32 = 64;
const MARCHING_WORKGROUP: u32 = 256;

/// A number of columns and steps, and the chunks that the steps are cut into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) columns: usize,
    pub(super) steps: usize,
    pub(super) channels: usize,
    pub(super) chunk: usize,
    pub(super) chunks: usize,
}

impl Cut {
    /// That of `[T, …, N]` on a device.
    ///
    /// # Errors
    /// [`Error::Argument`] for chunks of 0 steps or of no multiple of 8.
    pub(super) fn new(
        op: &'static str,
        plan: Plan,
        device: &Device,
        shape: &Shape,
    ) -> Result<Self> {
        let steps = shape.first().copied().unwrap_or(0);
        let columns: usize = shape.iter().skip(1).product();
        let channels = if shape.rank() > 1 { shape[shape.rank() - 1] } else { 1 };
        let chunk = match plan {
            Plan::Sequential => steps,
            Plan::Chunked(chunk) if chunk == 0 || !chunk.is_multiple_of(8) => {
                let detail = format!("chunks of {chunk} steps: a multiple of 8 is needed");
                return Err(Error::argument(op, detail));
            }
            Plan::Chunked(chunk) => (chunk as usize).min(steps),
            Plan::Auto => choose(device, columns, steps),
        };
        let chunk = chunk.max(1);
        Ok(Self { columns, steps, channels, chunk, chunks: steps.div_ceil(chunk).max(1) })
    }

    /// Whether there is more than one chunk.
    pub(super) fn is_chunked(&self) -> bool {
        self.chunks > 1
    }

    /// A launch of one invocation a column and chunk.
    pub(super) fn walk(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        let items = self.columns * self.chunks;
        let software = device.capabilities().software && !device.is_host();
        let launch = device.launch(kernel);
        if software && self.chunk >= LONG {
            launch.constant("MARCH", 1u32).items(items, MARCHING_WORKGROUP)
        } else {
            launch.items(items, WORKGROUP)
        }
    }

    /// A launch of one invocation a column.
    pub(super) fn join(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        device.launch(kernel).items(self.columns, WORKGROUP)
    }
}

/// The chunk that is likely to be fastest.
fn choose(device: &Device, columns: usize, steps: usize) -> usize {
    let enough = if device.is_host() {
        ENOUGH_ON_HOST
    } else if device.capabilities().software {
        ENOUGH_ON_SOFTWARE
    } else {
        ENOUGH_ON_HARDWARE
    };
    if columns >= enough || steps < 2 * SHORTEST {
        return steps;
    }
    let mut chunk = LONGEST;
    while chunk > SHORTEST && columns * steps.div_ceil(chunk) < enough {
        chunk /= 2;
    }
    chunk
}
