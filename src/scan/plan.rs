//! How the steps of a scan are cut.

use super::params::Share;
use crate::device::WalkTiles;
use crate::dispatch::Launch;
use crate::error::{Error, Result};
use crate::host::threads;
use crate::kernel::{Kernel, Variant};
use crate::{Device, Shape};

/// How a scan goes through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plan {
    /// In one walk where there are columns enough for the device, else in chunks.
    #[default]
    Auto,
    /// In one walk: every element is read once. (A software adapter takes a long walk in several
    /// launches.)
    Sequential,
    /// In chunks of so many steps, a multiple of 8: every input is read twice, by as many invocations
    /// more as there are chunks.
    Chunked(u32),
}

/// The shortest and the longest chunk that is chosen.
const SHORTEST: usize = 64;
const LONGEST: usize = 256;

/// Steps that a walk goes at a time where it is the only one of its invocation.
const STRIDE: usize = 32;

/// The most walks of an invocation: `SPAN` of `scan/walk.wgsl`.
const SPAN: usize = 32;

/// The most steps that an invocation takes in one launch, over all its walks, where a device ends loops:
/// of 65,535 iterations a step may take five, and a round of a walk eight more.
const MOST_STEPS: usize = 10 << 10;

/// The most iterations of forward walks there, whose steps are written out by eights.
const MOST_ITERATIONS: usize = 50_000;

/// The ways to compile a walk.
pub(super) const WALKS: &[Variant] =
    &[Variant::portable("baseline", &[]), Variant::portable("tiled", &["tiled"])];

/// A number of columns and steps, and the chunks that the steps are cut into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) columns: usize,
    pub(super) steps: usize,
    pub(super) channels: usize,
    pub(super) chunk: usize,
    pub(super) chunks: usize,
    /// Walks of an invocation.
    span: usize,
    /// Steps that a walk goes before the next of its invocation.
    stride: usize,
    /// Where an invocation takes several walks: how.
    tiles: Option<WalkTiles>,
    /// Whether the device ends long loops.
    limited: bool,
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
        let tiles = device.tuning().walks.tiles;
        let chunked = chunk < steps;
        let limited = device.capabilities().max_iterations.is_some();
        let chunk = if limited && chunked { chunk.min(MOST_STEPS) } else { chunk.max(1) };
        let (mut span, mut stride) = (1, STRIDE);
        if let Some(tiles) = &tiles {
            let walks = columns * steps.div_ceil(chunk).max(1);
            let groups = if walks <= tiles.short_row { 1 } else { tiles.groups };
            span = (walks / (tiles.lanes as usize * groups * threads())).clamp(1, SPAN);
            if chunked {
                span = span.min((MOST_STEPS / chunk).max(1));
            }
            stride = match (columns < tiles.long_row, steps < tiles.long_walk) {
                (true, _) => 8,
                (false, true) => 32,
                (false, false) => 64,
            };
        }
        let chunks = steps.div_ceil(chunk).max(1);
        Ok(Self { columns, steps, channels, chunk, chunks, span, stride, tiles, limited })
    }

    /// The steps of each launch of a forward walk whose loops go round at most so many times in eight
    /// steps, in their order: all of them in one, except that a software adapter must not be kept too
    /// long in one launch.
    pub(super) fn forward_shares(&self, iterations: usize) -> Vec<Share> {
        // Eight more whenever the walk changes: a loop that is not entered counts as one there.
        let stride = self.stride;
        self.shares_of(MOST_ITERATIONS * stride / (iterations * stride / 8 + 8))
    }

    /// Likewise of a backward walk.
    pub(super) fn shares(&self) -> Vec<Share> {
        self.shares_of(MOST_STEPS)
    }

    fn shares_of(&self, most_steps: usize) -> Vec<Share> {
        let whole = Share {
            columns: self.columns as u32,
            steps: self.steps as u32,
            start: 0,
            chunk: self.chunk as u32,
            chunks: self.chunks as u32,
            span: self.span as u32,
            channels: self.channels as u32,
            group: 1,
        };
        let most = most_steps / self.span / 8 * 8;
        if self.is_chunked() || !self.limited || self.steps <= most {
            return vec![whole];
        }
        let part = |start| Share { start: start as u32, chunk: most as u32, ..whole };
        (0..self.steps).step_by(most).map(part).collect()
    }

    /// All steps in one launch: for chunks, and what joins them.
    pub(super) fn whole(&self) -> Share {
        self.shares()[0]
    }

    /// Whether there is more than one chunk.
    pub(super) fn is_chunked(&self) -> bool {
        self.chunks > 1
    }

    /// A launch of one walk a column and chunk.
    pub(super) fn walk(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        let walks = self.columns * self.chunks;
        let launch = device.launch(kernel).when("tiled", self.tiles.is_some());
        match &self.tiles {
            Some(tiles) => launch
                .constant("WG", tiles.lanes)
                .constant("STRIDE", self.stride as u32)
                .items(walks.div_ceil(self.span)),
            None => launch.items(walks),
        }
    }

    /// A launch of one invocation a column.
    pub(super) fn join(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        device.launch(kernel).items(self.columns)
    }
}

/// The chunk that is likely to be fastest.
fn choose(device: &Device, columns: usize, steps: usize) -> usize {
    let tuning = &device.tuning().walks;
    let each = if tuning.a_thread { threads() } else { 1 };
    let enough = threads() < tuning.least_threads || columns >= each * tuning.enough;
    if enough || steps < 2 * SHORTEST {
        return steps;
    }
    let mut chunk = LONGEST;
    while chunk > SHORTEST && columns * steps.div_ceil(chunk) < each * tuning.wanted {
        chunk /= 2;
    }
    chunk
}
