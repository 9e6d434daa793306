//! Recurrences in f32, for any cell. Columns are independent: they are cut into blocks that threads share,
//! and these into tiles of some columns side by side on the stack.

mod backward;
mod forward;
mod tile;

pub(crate) use backward::backward;
pub(crate) use forward::forward;
