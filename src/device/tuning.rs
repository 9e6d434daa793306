//! What is chosen by the class of a device: every size, tile, chunk and threshold that differs.

use super::Device;
use crate::dispatch::Backend;
use crate::host::Role;

/// The choices for one class of devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// Whether invocations that work alone do better than workgroups with barriers: where a barrier is a
    /// switch of threads, or there is none.
    pub(crate) alone: bool,
    /// The most floating-point operations of one launch: larger products are split, so that a launch stays
    /// far below a driver's watchdog on a slow device too.
    pub(crate) launch_flops: f64,
    /// Whether the depth of a product is cut into chunks where its tiles alone do not keep the device
    /// busy.
    pub(crate) chunks: bool,
    /// Whether an invocation takes a whole row where it could take a vector of it: where the divisions
    /// that find the place of a vector are dear.
    pub(crate) rows_whole: bool,
    /// The invocations that order the open positions of one gate together.
    pub(crate) order_lanes: u32,
    /// Neighbouring elements that one invocation of a kernel over elements takes together: apart they
    /// would be parted in memory, together they save divisions where there is no vector division.
    pub(crate) span: u32,
    /// Whether matrices are transposed by tiles in the memory of a workgroup.
    pub(crate) tiles: bool,
    /// Whether pieces of one sum take every so-manieth element, so that neighbours read neighbours, and
    /// not elements that follow each other.
    pub(crate) interleaved: bool,
    /// The invocations that work on many rows is cut into pieces for.
    pub(crate) invocations: usize,
    /// Rows up to this length are walked by one invocation each, longer ones by a workgroup.
    pub(crate) short_row: usize,
    /// The least and the most elements that one invocation folds in a chain.
    pub(crate) chain: [usize; 2],
    /// The least and the most elements that one workgroup folds in a tree.
    pub(crate) tree: [usize; 2],
    /// The workgroups that folds of rows are cut into pieces for.
    pub(crate) workgroups: usize,
    /// The invocations of a workgroup that each take a tile of a product in registers, and all that keep
    /// the device busy.
    pub(crate) tile_group: u32,
    pub(crate) tile_invocations: usize,
    /// Tiles of eight rows and columns from which on a product of spectral clipping takes no smaller ones.
    pub(crate) wide_tiles: usize,
    /// The most depth that a product takes at a time where the left operand is transposed: all tiles read
    /// these rows of both operands while caches hold them.
    pub(crate) near_depth: usize,
    /// The sizes of a workgroup whose invocations share one sum, one key a piece of decode, or the tokens
    /// that extend a cache: the first whose loops the device runs to their end.
    pub(crate) sharing_groups: &'static [u32],
    pub(crate) decode_groups: &'static [u32],
    /// Whether products of packed spikes make all scores where tokens are fewer than channels.
    pub(crate) scores: bool,
    /// How lines are transformed.
    pub(crate) lines: Lines,
    /// Real lines of so many points and less are products with the matrix of the transform: any, and those
    /// of a large prime factor.
    pub(crate) matrix_lines: [usize; 2],
    /// The most parts that a sum over all elements is cut into.
    pub(crate) sum_parts: usize,
    /// The most parts that the losses of rows are summed in.
    pub(crate) loss_parts: usize,
    /// The logits of a fused loss that stand in memory at once: enough of them to fill a GPU; on a
    /// processor, as many as its caches hold.
    pub(crate) logits: usize,
    /// Steps from which on the lanes of a workgroup that walks over steps wait for each other: where
    /// they would else go through all steps a few at a time, and lose the caches.
    pub(crate) march_from: usize,
    /// How scans walk through time.
    pub(crate) walks: Walks,
}

/// How the lines of a Fourier transform are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// By the host's own loops, which plan for themselves.
    Host,
    /// Whole lines through memory, some side by side.
    Memory,
    /// In tiles of workgroup memory.
    Tiles,
}

/// How scans walk through time: in one walk a column, or in chunks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walks {
    /// Columns from which on one walk is faster than chunks.
    pub(crate) enough: usize,
    /// Walks that there should be where there are fewer columns.
    pub(crate) wanted: usize,
    /// Whether both are numbers a thread of the processor.
    pub(crate) a_thread: bool,
    /// Threads below which chunks, which cost more work, never pay.
    pub(crate) least_threads: usize,
    /// Where an invocation takes several walks: how.
    pub(crate) tiles: Option<WalkTiles>,
}

/// How an invocation takes several walks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalkTiles {
    /// Invocations of a workgroup: the lanes of a vector register.
    pub(crate) lanes: u32,
    /// Workgroups a thread: with one, a thread that starts late keeps all waiting.
    pub(crate) groups: usize,
    /// Rows of so many walks and less are left to one workgroup a thread: parts of rows that are
    /// shorter still cost more than waiting.
    pub(crate) short_row: usize,
    /// Columns and steps from which on a walk stays with its column for long.
    pub(crate) long_row: usize,
    pub(crate) long_walk: usize,
}

pub(crate) const HARDWARE: Tuning = Tuning {
    alone: false,
    launch_flops: 2e10,
    chunks: true,
    rows_whole: false,
    order_lanes: 256,
    span: 1,
    tiles: true,
    interleaved: true,
    invocations: 1 << 16,
    short_row: 64,
    chain: [32, 4096],
    tree: [4096, 16_384],
    workgroups: 1024,
    tile_group: 64,
    tile_invocations: 64 * 128,
    wide_tiles: 256,
    near_depth: usize::MAX,
    sharing_groups: &[256],
    decode_groups: &[128],
    scores: true,
    lines: Lines::Tiles,
    matrix_lines: [0, 0],
    sum_parts: 1 << 14,
    loss_parts: 1 << 12,
    logits: 1 << 23,
    march_from: usize::MAX,
    // An estimate: eight loads in flight an invocation must cover the latency of the memory at its
    // bandwidth.
    walks: Walks {
        enough: 1 << 15,
        wanted: 1 << 15,
        a_thread: false,
        least_threads: 1,
        tiles: None,
    },
};

pub(crate) const SOFTWARE: Tuning = Tuning {
    alone: true,
    launch_flops: 2e10,
    chunks: true,
    rows_whole: true,
    order_lanes: 8,
    span: 16,
    tiles: false,
    interleaved: false,
    invocations: 1 << 12,
    short_row: usize::MAX,
    chain: [1024, 1024],
    tree: [4096, 16_384],
    workgroups: 1024,
    tile_group: 8,
    tile_invocations: 256,
    wide_tiles: 256,
    near_depth: 2048,
    sharing_groups: &[1, 256],
    decode_groups: &[8, 32, 128],
    scores: true,
    lines: Lines::Memory,
    matrix_lines: [0, 128],
    sum_parts: 1 << 10,
    loss_parts: 1 << 10,
    logits: 3 << 19,
    march_from: 128,
    // With 64 columns and two threads neither plan brings more than 23 to 42 % of the copy's bandwidth,
    // differently from run to run; one walk reads less.
    walks: Walks {
        enough: 32,
        wanted: 8,
        a_thread: true,
        least_threads: 1,
        tiles: Some(WalkTiles {
            lanes: 8,
            groups: 4,
            short_row: 1 << 10,
            long_row: 1 << 8,
            long_walk: 1 << 9,
        }),
    },
};

/// The host runs its own loops, cut as for a software adapter where operators cut at all.
const HOST: Tuning = Tuning {
    launch_flops: f64::INFINITY,
    chunks: false,
    scores: false,
    lines: Lines::Host,
    matrix_lines: [16, 128],
    march_from: usize::MAX,
    // Chunks cost twice the work: they pay where there are more than twice as many threads as blocks of
    // columns, of the 256 that a thread is given at least.
    walks: Walks { enough: 128, wanted: 1, a_thread: true, least_threads: 3, tiles: None },
    ..SOFTWARE
};

impl Device {
    /// What suits this device.
    pub(crate) fn tuning(&self) -> &'static Tuning {
        match &self.stream.backend {
            Backend::Host(host) => match host.role {
                Role::Host => &HOST,
                Role::SoftwareAdapter => &SOFTWARE,
                Role::Hardware => &HARDWARE,
            },
            Backend::Gpu(_) if self.capabilities().software => &SOFTWARE,
            Backend::Gpu(_) => &HARDWARE,
        }
    }
}
