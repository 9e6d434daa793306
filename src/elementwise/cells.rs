//! Launches of one invocation a cell: four elements where their number allows, else one.

use crate::kernel::{Kernel, Needs, Variant};
use crate::{Device, Launch};

/// The variants of a kernel over cells (`shared/cells.wgsl`).
pub(crate) const CELLS: &[Variant] = &[
    Variant { name: "baseline", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "wide", conditions: &["wide"], needs: Needs::NOTHING },
];

/// A launch of a kernel over `count` elements, and the number of cells.
///
/// A binding of four-element cells cannot be shorter than one, nor end within one.
pub(crate) fn launch_cells(
    device: &Device,
    kernel: &'static Kernel,
    count: usize,
) -> (Launch, u32) {
    let wide = count > 0 && count.is_multiple_of(4);
    let cells = if wide { count / 4 } else { count };
    let launch = device.launch(kernel).variant_at(usize::from(wide)).items_of(cells, 256);
    (launch, cells as u32)
}
