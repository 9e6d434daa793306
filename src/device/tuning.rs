//! What is chosen by the class of a device: every size, tile, chunk and threshold that differs.

use super::Device;
use crate::dispatch::Backend;

/// The choices for one class of devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// Whether invocations that work alone do better than workgroups with barriers: where a barrier is a
    /// switch of threads, or there is none.
    pub(crate) alone: bool,
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
    /// The invocations that a sum over many rows is cut into pieces for.
    pub(crate) invocations: usize,
    /// Steps from which on the lanes of a workgroup that walks over steps wait for each other: where
    /// they would else go through all steps a few at a time, and lose the caches.
    pub(crate) march_from: usize,
}

const HARDWARE: Tuning = Tuning {
    alone: false,
    rows_whole: false,
    order_lanes: 256,
    span: 1,
    tiles: true,
    interleaved: true,
    invocations: 1 << 16,
    march_from: usize::MAX,
};

const SOFTWARE: Tuning = Tuning {
    alone: true,
    rows_whole: true,
    order_lanes: 8,
    span: 16,
    tiles: false,
    interleaved: false,
    invocations: 1 << 12,
    march_from: 128,
};

/// The host runs its own loops, cut as for a software adapter.
const HOST: Tuning = Tuning { march_from: usize::MAX, ..SOFTWARE };

impl Device {
    /// What suits this device.
    pub(crate) fn tuning(&self) -> &'static Tuning {
        match &self.stream.backend {
            Backend::Host(_) => &HOST,
            Backend::Gpu(_) if self.capabilities().software => &SOFTWARE,
            Backend::Gpu(_) => &HARDWARE,
        }
    }
}
