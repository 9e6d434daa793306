//! Launches of one invocation an item: four elements where their number allows, else one.

use crate::Launch;
use crate::device::Device;
use crate::kernel::{Kernel, Variant};

/// The variants of a kernel over items (`shared/item.wgsl`).
pub(crate) const BY_FOUR: &[Variant] =
    &[Variant::portable("baseline", &[]), Variant::portable("by four", &["VEC"])];

/// How many elements make an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Items {
    width: usize,
}

impl Items {
    /// In rows of `length` elements. A binding of four-element items cannot be shorter than one, nor end
    /// within one.
    pub(crate) fn of(length: usize) -> Self {
        let by_four = length > 0 && length.is_multiple_of(4);
        Self { width: if by_four { 4 } else { 1 } }
    }

    /// Whether it is four.
    pub(crate) fn by_four(self) -> bool {
        self.width == 4
    }

    /// The items of `elements`.
    pub(crate) fn count(self, elements: usize) -> u32 {
        (elements / self.width) as u32
    }

    /// A launch of one invocation an item of `elements`, of a kernel whose variants are [`BY_FOUR`].
    pub(crate) fn launch(
        self,
        device: &Device,
        kernel: &'static Kernel,
        elements: usize,
    ) -> Launch {
        device.launch(kernel).when("VEC", self.by_four()).items(elements / self.width)
    }
}

/// A launch of a kernel over `count` elements, and the number of items.
pub(crate) fn launch_items(
    device: &Device,
    kernel: &'static Kernel,
    count: usize,
) -> (Launch, u32) {
    let items = Items::of(count);
    (items.launch(device, kernel, count), items.count(count))
}
