//! Launches of one invocation a cell: four elements where their number allows, else one.

use crate::kernel::{Cost, CostArgs, Kernel, Variant};
use crate::{Device, Launch};

/// The variants of a kernel over cells (`shared/cells.wgsl`).
pub(crate) const CELLS: &[Variant] =
    &[Variant::portable("baseline", &[]), Variant::portable("wide", &["wide"])];

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
    let launch = device.launch(kernel).when("wide", wide).items(cells);
    (launch, cells as u32)
}

/// One operation an element of the binding `output`, and everything moved once.
pub(super) fn one_operation_each(args: &CostArgs<'_>, output: &str) -> Cost {
    Cost { bytes: args.all_bytes(), flops: args.words_of(output) as f64 }
}
