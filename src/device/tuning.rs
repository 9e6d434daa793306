//! What is chosen by the class of a device: the room for thresholds.

use super::Device;
use crate::gpu::Capabilities;

/// The choices for one device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning<'a> {
    capabilities: &'a Capabilities,
}

impl Device {
    /// What suits this device.
    pub(crate) fn tuning(&self) -> Tuning<'_> {
        Tuning { capabilities: self.capabilities() }
    }
}

impl Tuning<'_> {
    /// Whether invocations that work alone do better than workgroups with barriers: on software
    /// adapters, where a barrier is a switch of threads, and on the host.
    pub(crate) fn alone(self) -> bool {
        self.capabilities.software
    }

    /// Whether an invocation takes a whole row where it could take a vector of it: where the divisions
    /// that find the place of a vector are dear.
    pub(crate) fn rows_whole(self) -> bool {
        self.capabilities.software
    }

    /// The invocations that order the open positions of one gate together.
    pub(crate) fn order_lanes(self) -> u32 {
        if self.alone() { 8 } else { 256 }
    }
}
