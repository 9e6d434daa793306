//! Moving elements: transpose, permute, slice, pad, concatenate, reshape, repeat.

mod concat;
mod permute;
mod shape;
mod slice;
mod strided;
mod twin;
mod view;

pub(crate) use concat::place_rows;
pub use concat::{concat, concat_tensors};
pub use permute::{permute, transpose};
pub use shape::expand;
pub use slice::{pad, slice};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] =
    &[&strided::STRIDED, &permute::TRANSPOSE, &slice::PAD, &concat::PLACE];
