//! How the steps of a scan are cut.

use crate::dispatch::Launch;
use crate::error::{Error, Result};
use crate::kernel::{CostArgs, Kernel, Needs, Variant};
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

/// Columns from which on one walk through time is faster than chunks. On hardware an estimate: eight
/// loads in flight an invocation must cover the latency of the memory at its bandwidth.
const ENOUGH_ON_HARDWARE: usize = 1 << 15;

/// Those on a software adapter, a thread: with 64 columns and two threads neither plan brings more than
/// 23 to 42 % of the copy's bandwidth, differently from run to run; one walk reads less.
const ENOUGH_ON_SOFTWARE: usize = 32;

/// The fewest columns that the host's twins give a thread (`host::columns`). Chunks cost it twice the
/// work: they pay where there are more than twice as many threads as blocks of columns.
const BLOCK_ON_HOST: usize = 256;

/// The shortest and the longest chunk that is chosen.
const SHORTEST: usize = 64;
const LONGEST: usize = 256;

/// Invocations of a workgroup, the `override WG` of the shaders; on a software adapter the lanes of a
/// vector register.
const WORKGROUP: u32 = 64;
const LANES: u32 = 8;

/// Workgroups a thread of a software adapter: with one, a thread that starts late keeps all waiting.
const GROUPS: usize = 4;

/// Rows of so many columns and less are left to one workgroup a thread: parts of rows that are
/// shorter still cost more than waiting.
const SHORT_ROW: usize = 1 << 10;

/// Columns and steps from which on a walk of a software adapter stays with its column for long.
const LONG_ROW: usize = 1 << 8;
const LONG_WALK: usize = 1 << 9;

/// The most walks of an invocation on a software adapter: `SPAN` of `shared/walk.wgsl`.
const SPAN: usize = 32;

/// The most steps that an invocation takes in one launch on a software adapter, over all its walks:
/// llvmpipe leaves a shader, without a word, after 65,535 turns of its loops, of which a step may take
/// five, and a round of a walk eight more.
const MOST_STEPS: usize = 10 << 10;

/// The most iterations of forward walks, whose steps are written out by eights.
const MOST_ITERATIONS: usize = 50_000;

/// Steps that a walk goes at a time, if a launch does not say: `STRIDE` of the shaders.
const DEFAULT_STRIDE: usize = 32;

/// The ways to compile a walk.
pub(super) const WALKS: &[Variant] = &[
    Variant { name: "baseline", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "tiled", conditions: &["tiled"], needs: Needs::NOTHING },
];

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
    tiled: bool,
    /// Whether the device ends long loops.
    limited: bool,
}

crate::params! {
    /// `Share` of `shared/walk.wgsl`: the steps that a launch covers.
    pub(super) struct Share {
        columns: u32,
        steps: u32,
        start: u32,
        chunk: u32,
        chunks: u32,
        span: u32,
        channels: u32,
        group: u32,
    }
}

impl Share {
    /// The turns of the loops of a launch whose walks take `eight` for eight steps at a time and at the
    /// most `rest` for those that are left.
    pub(super) fn turns(&self, args: &CostArgs<'_>, eight: u64, rest: u64) -> u64 {
        let stride = args.constant_or("STRIDE", DEFAULT_STRIDE as u64).max(1);
        let [chunk, span] = [self.chunk.min(self.steps), self.span].map(u64::from);
        let rounds = chunk.div_ceil(stride);
        // Beginning and end of the walks; rounds of all walks, with two loops over their steps each.
        let around = 3 * (span + 2) + rounds * (3 + 5 * span);
        around + span * (chunk.div_ceil(8) * eight + rest)
    }

    /// The part of all steps that the launch covers.
    pub(super) fn fraction(&self) -> f64 {
        let end = self.steps.min(self.start.saturating_add(self.chunk.saturating_mul(self.chunks)));
        f64::from(end - self.start) / f64::from(self.steps.max(1))
    }
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
        let tiled = device.capabilities().software && !device.is_host();
        let chunked = chunk < steps;
        let limited = device.capabilities().max_turns.is_some();
        let chunk = if limited && chunked { chunk.min(MOST_STEPS) } else { chunk.max(1) };
        let chunks = steps.div_ceil(chunk).max(1);
        let mut span = 1;
        if tiled {
            let groups = if columns * chunks <= SHORT_ROW { 1 } else { GROUPS };
            let lanes = LANES as usize * groups * crate::host::threads();
            span = (columns * chunks / lanes).clamp(1, SPAN);
            if chunked {
                span = span.min((MOST_STEPS / chunk).max(1));
            }
        }
        let stride = match (columns < LONG_ROW, steps < LONG_WALK) {
            _ if !tiled => DEFAULT_STRIDE,
            (true, _) => 8,
            (false, true) => 32,
            (false, false) => 64,
        };
        Ok(Self { columns, steps, channels, chunk, chunks, span, stride, tiled, limited })
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
        if self.tiled {
            let launch = device.launch(kernel).variant_at(1).constant("WG", LANES);
            let launch = launch.constant("STRIDE", self.stride as u32);
            launch.items_of(walks, LANES * self.span as u32)
        } else {
            device.launch(kernel).variant_at(0).items_of(walks, WORKGROUP)
        }
    }

    /// A launch of one invocation a column.
    pub(super) fn join(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        device.launch(kernel).items_of(self.columns, WORKGROUP)
    }
}

/// The chunk that is likely to be fastest.
fn choose(device: &Device, columns: usize, steps: usize) -> usize {
    let threads = crate::host::threads();
    // Whether columns are enough, and how many walks are.
    let (enough, walks) = if device.is_host() {
        (2 * (columns / BLOCK_ON_HOST).max(1) >= threads, threads)
    } else if device.capabilities().software {
        (columns >= ENOUGH_ON_SOFTWARE * threads, LANES as usize * threads)
    } else {
        (columns >= ENOUGH_ON_HARDWARE, ENOUGH_ON_HARDWARE)
    };
    if enough || steps < 2 * SHORTEST {
        return steps;
    }
    let mut chunk = LONGEST;
    while chunk > SHORTEST && columns * steps.div_ceil(chunk) < walks {
        chunk /= 2;
    }
    chunk
}
