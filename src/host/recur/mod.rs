//! Recurrences in f32, for any equations. Columns are independent: they are cut into blocks that threads
//! share, and these into tiles of some columns side by side. A tile goes through all steps before the next
//! begins, and through the operations of a step one by one: what they make stays in the nearest cache.

mod backward;
mod forward;
mod tile;

pub(crate) use backward::backward;
pub(crate) use forward::forward;
