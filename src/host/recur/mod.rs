//! Recurrences in f32, for any equations. Columns are independent: they are cut into blocks that threads
//! share, and these into tiles of some columns side by side. Tiles go through the operations of a step one by
//! one, and what these make stays in the nearest cache; all tiles of a block take a step, or backwards a chunk
//! of eight, before the next begins, so that memory is read row by row.

mod backward;
mod forward;
mod tile;

pub(crate) use backward::backward;
pub(crate) use forward::forward;
