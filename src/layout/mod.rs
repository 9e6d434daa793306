//! Moving elements: transpose, permute, slice, pad, concatenate, reshape, repeat.

mod concat;
mod permute;
mod shape;
mod slice;
mod strided;
mod view;

pub(crate) use concat::place_rows;
pub use concat::{concat, concat_tensors};
pub(crate) use permute::TransposeParams;
pub use permute::{permute, transpose};
pub use shape::expand;
pub use slice::{pad, slice};
pub(crate) use strided::StridedParams;
pub(crate) use view::moved;

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] =
    &[&strided::STRIDED, &permute::TRANSPOSE, &slice::PAD, &concat::PLACE];
